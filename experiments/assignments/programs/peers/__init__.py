"""Peers of a program under test, each a process on a host: a raw client, an HTTP origin and an SMTP receiver."""
