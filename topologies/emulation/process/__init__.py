"""Processes of hosts: namespaces, fork server, launcher and external programs."""
