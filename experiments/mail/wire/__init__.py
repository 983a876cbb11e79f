"""SMTP, POP3 and IMAP sessions parsed from captures."""
