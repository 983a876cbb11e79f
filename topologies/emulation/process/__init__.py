"""Processes of hosts: sandbox, namespaces, fork server, launcher and programs."""
