"""/etc/resolv.conf: which servers a host's stub asks.

As resolv.conf(5) describes it: `nameserver ADDRESS` lines, of which the first three count. Left out: search lists,
domain and options; the stub takes names as they are typed, as dig does.
"""

from ipaddress import ip_address

# resolv.conf(5): MAXNS.
SERVERS_MAX = 3


def servers_of(text: str) -> list[str]:
    """Return the servers' addresses, in order; lines that name none are passed over, as the C library does."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_address(words[1]):
            servers.append(words[1])
    return servers[:SERVERS_MAX]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
