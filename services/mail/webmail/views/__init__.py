"""Webmail pages: message list, message, compose form and sanitised HTML."""
