"""Ports for the servers of a benchmark, for those that cannot take a free one by themselves and tell it."""

import socket


def free_port() -> int:
    """Return a port of the loopback address that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
