"""Emulation: a Mininet topology as a running network, in a sandbox, with shaped links and services in the hosts."""
