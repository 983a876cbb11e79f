"""Emulation: a Mininet topology as a running network in namespaces, with shaped links and services in the hosts."""
