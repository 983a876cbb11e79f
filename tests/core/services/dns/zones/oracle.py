"""Oracle for zone lookup: the RFCs as literally as possible, on flat lists of records without a tree or a cache.

RFC 1034 section 4.3.2 with the words of RFC 4592 section 3.3.1 and RFC 6672 section 3.2. Names are tuples of lower-case
text, the leftmost label first; a record is (owner, type, ttl, value), and value a name where the type has one.
"""

from dataclasses import dataclass, field

Labels = tuple[str, ...]
Row = tuple[Labels, str, int, object]
LINKS_MAX = 16


@dataclass
class Expected:
    rcode: str = "NOERROR"
    aa: bool = False
    answers: list[Row] = field(default_factory=list)
    authority: list[Row] = field(default_factory=list)
    additional: list[Row] = field(default_factory=list)


def below(name: Labels, ancestor: Labels) -> bool:
    return name[len(name) - len(ancestor) :] == ancestor


def wire_octets(name: Labels) -> int:
    return sum(len(label) + 1 for label in name) + 1


class Oracle:
    """Zones as lists of records, by origin."""

    def __init__(self, zones: dict[Labels, list[Row]]) -> None:
        self.zones = zones

    def ask(self, qname: Labels, qtype: str) -> Expected:
        expected = Expected()
        seen = [qname]
        zone: Labels | None = None
        for _ in range(LINKS_MAX):
            # Step 2: the zone which is the nearest ancestor to QNAME.
            held = [origin for origin in self.zones if below(qname, origin)]
            if qtype == "DS" and qname in held and len(held) > 1 and qname:
                held.remove(qname)
            if not held:
                if not expected.answers:
                    expected.rcode = "REFUSED"
                break
            zone = max(held, key=len)
            following = self._match_down(expected, zone, qname, qtype)
            if following is None or following in seen:
                break
            qname = following
            seen.append(qname)
        # Only a referral has addresses in the response to ANY, as in BIND.
        if zone is not None and (qtype != "ANY" or any(row[1] == "NS" for row in expected.authority)):
            self._additional(expected, zone)
        return expected

    def _rows(self, zone: Labels, owner: Labels, rtype: str | None = None) -> list[Row]:
        return [row for row in self.zones[zone] if row[0] == owner and rtype in (None, row[1])]

    def _exists(self, zone: Labels, name: Labels) -> bool:
        """Tell whether a name or a descendant has records (RFC 4592 section 2.2.3)."""
        return any(below(row[0], name) for row in self.zones[zone])

    def _soa(self, zone: Labels) -> list[Row]:
        [(owner, rtype, ttl, value)] = self._rows(zone, zone, "SOA")
        assert isinstance(value, tuple)
        return [(owner, rtype, min(ttl, value[-1]), value)]

    def _match_down(self, expected: Expected, zone: Labels, qname: Labels, qtype: str) -> Labels | None:
        """Match down, label by label from the apex (step 3)."""
        for count in range(len(zone), len(qname) + 1):
            node = qname[len(qname) - count :]
            if not self._exists(zone, node):
                return self._no_match(expected, zone, node[1:], qname, qtype)
            # 3b: out of the authoritative data, into a referral; DS is the parent's (RFC 4035 section 3.1.4.1).
            cut = self._rows(zone, node, "NS") if node != zone else []
            if cut and not (qtype == "DS" and node == qname):
                expected.authority += cut
                return None
            # RFC 6672 sections 2.3 and 3.2: names below a DNAME's owner are redirected.
            redirected = self._rows(zone, node, "DNAME")
            if redirected and node != qname:
                return self._substitute(expected, redirected[0], node, qname, qtype)
        expected.aa = True
        return self._take(expected, zone, self._rows(zone, qname), qname, qtype)

    def _no_match(self, expected: Expected, zone: Labels, encloser: Labels, qname: Labels, qtype: str) -> Labels | None:
        """Answer from the "*" label below the closest encloser, or with a name error (step 3c)."""
        expected.aa = True
        source = ("*", *encloser)
        if not self._exists(zone, source):
            expected.rcode = "NXDOMAIN"
            expected.authority += self._soa(zone)
            return None
        return self._take(expected, zone, self._rows(zone, source), qname, qtype)

    def _take(self, expected: Expected, zone: Labels, rows: list[Row], qname: Labels, qtype: str) -> Labels | None:
        alias = [row for row in rows if row[1] == "CNAME"]
        if alias and qtype not in ("CNAME", "ANY"):
            expected.answers.append((qname, "CNAME", alias[0][2], alias[0][3]))
            return alias[0][3]  # type: ignore[return-value]
        found = [(qname, *row[1:]) for row in rows if qtype in (row[1], "ANY")]
        expected.answers += found
        if not found:
            # RFC 2308 section 2.2: no data.
            expected.authority += self._soa(zone)
        return None

    def _substitute(self, expected: Expected, dname: Row, owner: Labels, qname: Labels, qtype: str) -> Labels | None:
        expected.aa = True
        expected.answers.append(dname)
        target: Labels = dname[3]  # type: ignore[assignment]
        made = qname[: len(qname) - len(owner)] + target
        if wire_octets(made) > 255:
            expected.rcode = "YXDOMAIN"
            return None
        expected.answers.append((qname, "CNAME", dname[2], made))
        # A DNAME that leads below itself is applied once, as in NSD.
        return None if qtype in ("CNAME", "ANY") or below(made, owner) else made

    def _additional(self, expected: Expected, zone: Labels) -> None:
        for row in expected.answers + expected.authority:
            if row[1] not in ("NS", "MX"):
                continue
            host: Labels = row[3][1] if row[1] == "MX" else row[3]  # type: ignore[index, assignment]
            rows = self._host_rows(zone, host, with_glue=row[1] == "NS")
            for found in [row for row in rows if row[1] == "A"] + [row for row in rows if row[1] == "AAAA"]:
                if found not in expected.additional and found not in expected.answers:
                    expected.additional.append(found)

    def _host_rows(self, zone: Labels, host: Labels, with_glue: bool) -> list[Row]:
        """Return the rows of a host, or of the wildcard that covers it; those below a cut are glue."""
        if not below(host, zone):
            return []
        above = [host[len(host) - count :] for count in range(len(zone) + 1, len(host) + 1)]
        hidden = any(self._rows(zone, node, "NS") for node in above)
        # RFC 6672 section 2.3: unlike a cut, a DNAME can be at the apex, too.
        hidden = hidden or any(self._rows(zone, node, "DNAME") for node in (zone, *above) if node != host)
        if self._exists(zone, host):
            return [] if hidden and not with_glue else self._rows(zone, host)
        encloser = next(
            node for node in (host[count:] for count in range(1, len(host) + 1)) if self._exists(zone, node)
        )
        return [] if hidden else [(host, *row[1:]) for row in self._rows(zone, ("*", *encloser))]
