"""Experiments on mail: SMTP transfer, reply codes and outages; mailbox access by POP3, IMAP and webmail."""
