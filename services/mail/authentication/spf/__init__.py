"""Sender Policy Framework: DNS records of the addresses that may send mail in a domain's name (RFC 7208)."""
