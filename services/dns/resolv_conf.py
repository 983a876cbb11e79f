"""Parser for /etc/resolv.conf: the name servers of a host's stub resolver.

resolv.conf(5): `nameserver ADDRESS` lines, of which the first three are used. Left out: search, domain and options;
the stub uses names as they are given, as dig does.
"""

from ipaddress import ip_address

# resolv.conf(5): MAXNS.
SERVERS_MAX = 3


def servers_of(text: str) -> list[str]:
    """Return the addresses of at most SERVERS_MAX name servers in the text of a resolv.conf file, in order.

    Invalid lines are ignored, as in the C library.
    """
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
