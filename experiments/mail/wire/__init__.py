"""Parsers of captured SMTP, POP3 and IMAP sessions, independent of services.mail."""
