"""Rules of the RFCs for application messages, one module per protocol; each rule has a check over captured traffic."""
