"""Processes of hosts: Linux namespaces, start of services by a fork server, external programs, and confinement."""
