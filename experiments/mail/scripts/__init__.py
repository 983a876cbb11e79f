"""Scripts of sessions for the mail client programs: SMTP dialogues; POP3, IMAP and webmail steps."""
