"""Mail authentication: SPF, DKIM, DMARC, Authentication-Results, and MTA-STS.

SPF (RFC 7208) authenticates the domain of the reverse-path by the client's address. DKIM (RFC 6376) authenticates a
domain by a signature over the message. DMARC (RFC 7489) requires that an authenticated domain is aligned with the
domain of the From field, and has a policy for failures. The results are written into an Authentication-Results field
(RFC 8601). MTA-STS (RFC 8461) requires TLS with a verified certificate for the connection to the next hop.

The checks are sans-IO: generators that yield DNS queries (lookup.py) and receive responses. The MTA's DNS client does
the I/O. Left out: reports (RFC 7489 section 7, RFC 6591, RFC 8460), ARC (RFC 8617), BIMI.
"""
