"""Packet capture in network namespaces: recorder process, and pcapng files with one clock for all interfaces."""
