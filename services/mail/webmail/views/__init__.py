"""Webmail pages: mailbox list, message, compose form and sanitised HTML."""
