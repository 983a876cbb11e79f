"""Experiments on mail: SMTP transfer, replies and outages; POP3, IMAP and webmail access."""
