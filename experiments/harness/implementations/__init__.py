"""Implementations of server and client roles by third-party programs, such as nginx or curl."""
