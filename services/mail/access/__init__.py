"""Asyncio server for POP3 and IMAP: connections, login, STARTTLS, time-outs, and a cache of open mailboxes.

The protocol itself is in a sans-IO session (packages pop3 and imap). A session's methods `greeting()`, `receive(data)`
and `poll()` return octets to send, and requests for I/O such as a password check. This package serves any such session.
"""
