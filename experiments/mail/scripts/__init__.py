"""Scripts of mail sessions as lists of steps, for the client programs in drivers: SMTP, POP3, IMAP and webmail."""
