"""Sender Policy Framework (SPF): DNS records that list the addresses permitted to send a domain's mail (RFC 7208)."""
