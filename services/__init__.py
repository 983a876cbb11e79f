"""Socket-level servers and clients of application protocols, each a sans-IO core in a thin asyncio shell.

    http/ dns/ mail/ ftp/       one package per protocol
    shell.py workers.py         flags, listening sockets, READY and shutdown of a service program; worker processes
    connections.py              listening sockets; admission, eviction, deadlines and shutdown of connections
    datagrams.py                UDP endpoints
    flags.py faults.py          argument types of argparse, the flag --fault
    buffer.py bounded_dict.py   bounded input, bounded caches
    memory.py                   return of freed memory to the operating system
    passwords.py tls.py         scrypt hashes of passwords, TLS contexts
    eventlog.py errors.py       JSON lines of events, shared errors

A core imports no socket, asyncio, threading or clock, and calls no method of its shell. The methods of a core take
octets (and `now`, if they depend on the time) and return octets, events or actions, which are frozen dataclasses. The
shell carries out the actions in order, and passes the result of an action to a named method of the core.

    session.receive(b"USER ann\\r\\n")                    # [Authenticate("ann", Credential.NAME)]
    session.resolved(Admitted(Credential.PASSWORD))      # [Send(b"331 ...")]

So a test of a core needs no mock. Two cores have another interface, since a list of values would make the code longer:
a mailbox session (mail/access) is a generator of octets and requests, because the response to FETCH is sent while it is
produced; an SMTP session keeps its one pending request in an attribute. Callbacks connect only parts of a shell
(`on_more` of a streamed body, `on_evict` of a slot).

Limits are dataclasses called Limits, or constants of a module called limits, each with the source of its value.
"""
