"""What POP3 and IMAP servers share: connections, log-in, and the mailboxes that are open.

A protocol's session is a core: `greeting()`, `receive(data)` and `poll()` return octets to send, and requests to be
answered. Everything here serves such a session, whatever its protocol.
"""
