"""The DNS codec: names, records, messages and master files as octets and objects (RFC 1035)."""
