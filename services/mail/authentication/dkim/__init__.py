"""DomainKeys Identified Mail (DKIM): signatures over messages, with keys in the DNS (RFC 6376, RFC 8301, RFC 8463)."""
