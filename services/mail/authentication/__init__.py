"""Mail authentication: SPF, DKIM, DMARC, Authentication-Results, and MTA-STS.

SPF (RFC 7208) authenticates the domain of the reverse-path by the client's address, DKIM (RFC 6376) a domain by a
signature over the message, DMARC (RFC 7489) ties both to the domain of the From field and has a policy for failures.
The result is written into an Authentication-Results field (RFC 8601). MTA-STS (RFC 8461) is about the next hop: TLS
with a verified certificate.

All cores are generators that yield DNS queries (lookup.py) and take their responses; the MTA's DNS client does the I/O.
Left out: reports (RFC 7489 section 7, RFC 6591, RFC 8460), ARC (RFC 8617), BIMI.
"""
