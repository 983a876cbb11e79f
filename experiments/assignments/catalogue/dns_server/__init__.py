"""Assignment dns-server, in which students write an authoritative DNS server of one zone."""
