"""Parsers of captured SMTP, POP3 and IMAP sessions, independent of lab7.services.mail."""
