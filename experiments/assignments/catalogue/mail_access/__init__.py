"""Assignment mail-access: POP3 and IMAP sessions on the same mailbox, and what each leaves on the server."""
