"""Peers of a program under test, each a process on a host: a client of octets, an HTTP origin and an SMTP receiver."""
