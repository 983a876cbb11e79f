"""Sender Policy Framework: which addresses may send mail of a domain (RFC 7208)."""
