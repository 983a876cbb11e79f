"""Special host classes of Mininet: NAT, and CPULimitedHost, whose CPU time is limited."""
