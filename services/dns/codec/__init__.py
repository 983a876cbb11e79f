"""DNS codec: names, rdata, messages and master files, between octets, text and objects (RFC 1035)."""
