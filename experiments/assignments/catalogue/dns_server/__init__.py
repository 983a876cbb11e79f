"""Program assignment dns-server: an authoritative DNS server of one zone, written by the student."""
