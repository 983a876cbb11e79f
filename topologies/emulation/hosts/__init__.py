"""Mininet's other host classes: NAT, and CPULimitedHost, whose CPU time is limited."""
