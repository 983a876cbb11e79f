"""SMTP MTA Strict Transport Security (MTA-STS): a receiving domain's policy that requires TLS (RFC 8461)."""
