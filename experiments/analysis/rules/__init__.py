"""Message rules by protocol: each has an id, the RFC section that states it, and a check over captured traffic."""
