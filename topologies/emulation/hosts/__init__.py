"""Hosts of further kinds of Mininet: NAT, and hosts with a limit of processor time (CPULimitedHost)."""
