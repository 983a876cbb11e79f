"""Closed form for the time of a server's sender check with an empty cache: consecutive DNS lookups.

    SPF      (z + 2) RTT    the record of the sender's domain, for which the resolver queries the servers of z zones,
                            from the root on; then, for the mechanism mx, its MX record and the MX host's address
    DKIM     1 RTT per key  the key of each signature
    DMARC    1 RTT          the policy of the domain of From

RTT is the round-trip time between the recipient's resolver and the name servers, equal for all name servers. All
records of the sender are in one zone, whose servers the resolver knows after the first lookup. With a filled cache the
check takes no RTT.

Source: RFC 7208 sections 4.6.4 and 5.4, RFC 6376 section 6.1.2, RFC 7489 section 6.6.3, RFC 1034 section 5.3.3, from
which the lookups are counted.
"""

from __future__ import annotations

from lab7.experiments.harness.theory.round_trips import RoundTrips
from lab7.experiments.harness.theory.tcp import Theory

SOURCE = "RFC 7208, section 4.6.4, and RFC 7489, section 6.6.3: lookups counted"
# Number of lookups of the SPF mechanism mx with one mail server: MX, and the address of its host.
MX_LOOKUPS = 2


def first_check(zones: int, keys: int, rtt_s: float) -> Theory:
    """Return the predicted time of the first sender check for a domain, from the end of the mail data to the reply.

    zones: number of zones from the root to the sender's zone; keys: number of signatures; rtt_s: round-trip time in s
    from the resolver to a name server.
    """
    form = RoundTrips(rtt_s).trips("spf", zones + MX_LOOKUPS)
    if keys:
        form.trips("dkim", keys)
    return form.trips("dmarc", 1).theory(SOURCE)
