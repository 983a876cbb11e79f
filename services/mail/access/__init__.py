"""Asyncio server for POP3 and IMAP sessions: connections, login, and the cache of open mailboxes.

A protocol's session is a sans-IO core: `greeting()`, `receive(data)` and `poll()` return octets to send and requests to
answer. This package serves any such session.
"""
