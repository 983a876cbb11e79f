"""Dialogue scripts for SMTP, POP3 and IMAP sessions."""
