"""Implementations of server and client roles: programs such as nginx or curl in place of lab7's services."""
