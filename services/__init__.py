r"""Servers and clients of HTTP, DNS, mail and FTP on sockets, each a sans-IO protocol core in an asyncio shell.

    http/ dns/ mail/ ftp/       one package per protocol
    shell.py workers.py         program start, listening sockets, shutdown by signal; worker processes
    connections.py              listening sockets; admission, eviction, deadlines and shutdown of connections
    datagrams.py                UDP endpoints
    flags.py faults.py          argument types for argparse; the flag --fault, which enables deliberate faults
    buffer.py bounded_dict.py   bounded input buffers, bounded LRU caches
    memory.py                   return of freed memory to the operating system
    passwords.py tls.py         scrypt hashes of passwords, TLS contexts
    eventlog.py errors.py       event log in JSON lines, shared exceptions

A core implements a protocol without I/O; its shell owns the sockets. A core imports no socket, asyncio, threading or
clock. Its methods take octets (and the time `now`, if they depend on it) and return octets, events or actions, which
are frozen dataclasses. The shell carries out the actions in order, and passes the result of an action to a named method
of the core. In an FTP session, for example:

    session.receive(b"USER ann\r\n")                   # the action [Authenticate("ann", Credential.NAME)]
    session.resolved(Admitted(Credential.PASSWORD))    # its result; returns the action [Send(b"331 ...")]

A test of a core therefore needs no mock. Two cores deviate from this interface to keep their code short. A mailbox
session (mail/access) is a generator of octets and requests, because the response to FETCH is sent while it is produced.
An SMTP session keeps its one pending request in an attribute. There are callbacks only between parts of a shell: for
example, `on_more` reports that a streamed body has more octets.

Limits are dataclasses called Limits, or constants of a module called limits, each with the source of its value.
"""
