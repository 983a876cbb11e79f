"""Conformance analysis of captured traffic: checks of application messages against the rules of the RFCs.

A capture may come from any program, such as tcpdump or Wireshark.
"""
