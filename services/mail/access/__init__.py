"""Mailbox access server: connections, login and open mailboxes, shared by POP3 and IMAP.

A protocol's session is a sans-IO core: `greeting()`, `receive(data)` and `poll()` return octets to send and requests to
answer. This package serves any such session.
"""
