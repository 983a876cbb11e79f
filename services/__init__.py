"""Socket-level servers and clients of application protocols, each a sans-IO core in a thin asyncio shell.

    http/ dns/ mail/ ftp/       one package per protocol
    shell.py                    flags, listening sockets, READY and shutdown of a service program
    connections.py              listening sockets; admission, eviction, deadlines and shutdown of connections
    flags.py                    argument types of argparse
    buffer.py bounded_dict.py   bounded input, bounded caches
    passwords.py tls.py         scrypt hashes of passwords, TLS contexts
    eventlog.py errors.py       JSON lines of events, shared errors

A core imports no socket, asyncio, threading or clock. The rule for how a core uses its shell: the core returns values
and calls nothing. It is given octets (and `now`, where time matters) and returns octets, events or actions, which are
frozen dataclasses; the shell carries them out in their order and gives the result of an action back to a named method.

    session.receive(b"USER ann\\r\\n")                    # [Authenticate("ann", Credential.NAME)]
    session.resolved(Admitted(Credential.PASSWORD))      # [Send(b"331 ...")]

So a test of a core needs no mock, and a transcript of it is complete. Two other forms are left, where a list of values
would be the longer code: the sessions of mailboxes (mail/access) yield octets and requests from a generator, because a
FETCH is sent while it is produced; SMTP's session keeps its one pending request in an attribute. A callback goes only
from one part of a shell to another (`on_more` of a streamed body, `on_evict` of a slot).

Limits are dataclasses called Limits, or constants of a module called limits, each with the source of its value.
"""
