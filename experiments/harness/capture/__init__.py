"""Packet capture to pcapng on one clock for all interfaces."""
