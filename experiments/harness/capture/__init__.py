"""Packet capture to pcapng, with one clock for all interfaces."""
