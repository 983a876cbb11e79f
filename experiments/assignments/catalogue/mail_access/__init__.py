"""Assignment mail-access: POP3 and IMAP sessions on one mailbox, and the state that each leaves on the server."""
