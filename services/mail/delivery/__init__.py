"""Mail delivery: queue dispatcher, MX routing, local and remote delivery, bounces (RFC 5321 sections 4.4, 5 and 6)."""
