"""Scripts of client sessions for the driver processes: SMTP dialogues; POP3, IMAP and webmail steps."""
