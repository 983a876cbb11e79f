"""Implementations of roles: real servers and clients, and users' programs, in place of lab7's services."""
