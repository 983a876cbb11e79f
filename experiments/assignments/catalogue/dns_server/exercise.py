"""DNS server exercise: test queries to a student's authoritative server of one zone (RFC 1034 section 4.3.2, RFC 1035).

    client 10.54.0.1 ── 5 ms ── s1 ── server 10.54.0.53

The zone's names, addresses, TTLs and texts are drawn from the run's seed. The zone file has one record per line, with
absolute names and all fields. A client without a DNS parser sends the queries as octets. Each claim, such as "A query
for an alias is answered by CNAME and the records of the canonical name", is decided from the capture at the client.
Left out: wildcards, zone transfers, DNSSEC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mininet.topo import Topo

from lab7.experiments.analysis.rules import dns
from lab7.experiments.analysis.rules.dns_octets import AAAA, CNAME, MX, NS, OPT, SOA, A
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.dns_cases import TXT, Case, Expected, View, decide_cases, framed, query
from lab7.experiments.assignments.programs.exercise import EXERCISES, More, experiment_of, no_more, outcome_of
from lab7.experiments.assignments.programs.trial import RAW_CLIENT, send_all, subject_testbed
from lab7.experiments.dns.wire.messages import RCODES
from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Outcome, Run
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import first_interface, measured

ADDRESS, ZONE_FILE = "10.54.0.53", "example.com.zone"
AT_CLIENT = first_interface("client")
NOERROR, NXDOMAIN, NOTIMP, REFUSED = 0, 3, 4, 5
EDNS_SIZE, OPCODE_STATUS = 4096, 2

RECORDS = Rule("dns-server-records", "dns", "An answer has all records of the name and type.", "RFC 1034 section 4.3.2")
ALIAS = Rule(
    "dns-server-alias",
    "dns",
    "The answer to a query for an alias is its CNAME, followed by the records of the canonical name.",
    "RFC 1034 section 3.6.2",
)
NAME_ERROR = Rule(
    "dns-server-name-error", "dns", "NXDOMAIN says that the name does not exist.", "RFC 1035 section 4.1.1"
)
NO_DATA = Rule(
    "dns-server-no-data",
    "dns",
    "A name without records of the type is answered by NOERROR and no answer.",
    "RFC 2308 section 2.2",
)
REFERRAL = Rule(
    "dns-server-referral",
    "dns",
    "Below a zone cut the server refers to the name servers there, without authority.",
    "RFC 1034 section 4.3.2",
)
TRUNCATED = Rule(
    "dns-server-truncated",
    "dns",
    "A response that does not fit has TC, so that TCP is tried.",
    "RFC 1035 section 4.1.1",
)
BY_TCP = Rule("dns-server-tcp", "dns", "By TCP a response is sent whole.", "RFC 7766 section 5")
EDNS = Rule("dns-server-edns", "dns", "A response to a query with OPT has OPT.", "RFC 6891 section 6.1.1")
CASE = Rule(
    "dns-server-case",
    "dns",
    "Names are compared without regard to case, and repeated as sent.",
    "RFC 1035 section 2.3.3",
)
OUTSIDE = Rule("dns-server-outside", "dns", "A server refuses queries outside of its zones.", "RFC 1035 section 4.1.1")
OPCODE = Rule("dns-server-opcode", "dns", "An unknown OPCODE is answered by NOTIMP.", "RFC 1035 section 4.1.1")


@dataclass(frozen=True)
class Names:
    """Test zone drawn from a seed: its records, and the names that the test cases query."""

    records: tuple[Expected, ...]
    host: str
    alias: str
    text: str
    child: str
    missing: str
    outside: str
    first_id: int

    @property
    def master_file(self) -> str:
        """The zone file (RFC 1035 section 5) as text: owner, TTL, class, type and value on each line."""
        kinds = {A: "A", AAAA: "AAAA", NS: "NS", CNAME: "CNAME", MX: "MX", TXT: "TXT"}
        soa = "example.com. 3600 IN SOA ns.example.com. hostmaster.example.com. 7 7200 3600 1209600 300"
        lines = [f"{one.owner} {one.ttl} IN {kinds[one.rtype]} {_text(one)}" for one in self.records]
        return "\n".join([soa, *lines, ""])

    def of(self, owner: str, rtype: int) -> list[Expected]:
        """Return the zone's records with this owner name and type."""
        return [one for one in self.records if (one.owner, one.rtype) == (owner, rtype)]


@dataclass
class Plan:
    """Test zone of the exercise, and the test cases in the order in which their queries are sent."""

    names: Names
    cases: list[Case]

    @property
    def next_id(self) -> int:
        """The message ID for the query of the next test case; no other test case has it."""
        return self.names.first_id + len(self.cases)


def _text(record: Expected) -> str:
    """Return a record's value as in a zone file: the character-string of a TXT record in quotes, others unchanged."""
    return f'"{bytes.fromhex(record.value)[1:].decode("ascii")}"' if record.rtype == TXT else record.value


def draw_names(seed: int) -> Names:
    """Return the test zone drawn from a seed."""
    random = Random(seed)
    labels = [
        f"{random.choice(('amber', 'birch', 'cedar', 'delta'))}{number}" for number in random.sample(range(99), 5)
    ]
    host, alias, text, child, missing = (f"{label}.example.com." for label in labels)
    ttl = random.choice((300, 900, 1800, 7200))
    addresses = [f"10.54.{random.randrange(1, 99)}.{random.randrange(1, 250)}" for _ in range(4)]
    strings = [f"{number:02d} {random.getrandbits(600):0150x}".encode() for number in range(6)]
    records = (
        Expected("example.com.", NS, 3600, "ns.example.com."),
        Expected("example.com.", MX, ttl, f"10 {host}"),
        Expected("example.com.", MX, ttl, "20 ns.example.com."),
        Expected("ns.example.com.", A, 3600, ADDRESS),
        Expected(host, A, ttl, addresses[0]),
        Expected(host, A, ttl, addresses[1]),
        Expected(host, AAAA, ttl, f"2001:db8::{random.randrange(1, 0xFFFF):x}"),
        Expected(alias, CNAME, ttl, host),
        *(Expected(text, TXT, ttl, (bytes([len(one)]) + one).hex()) for one in strings),
        Expected(child, NS, ttl, f"ns.{child}"),
        Expected(f"ns.{child}", A, ttl, addresses[2]),
    )
    outside = f"www.{random.randrange(16**8):08x}.example.org."
    return Names(records, host, alias, text, child, missing, outside, random.randrange(1, 60_000))


def cases_of(names: Names, which: str, more: More = no_more) -> list[Case]:
    """Return the test cases for the test zone `names`, in the order of sending.

    If `which` is "public", those hidden from students are omitted. `more`: function that adds further test cases.
    """
    cases: list[Case] = []
    plan = Plan(names, cases)

    def add(
        claim: str,
        name: str,
        rtype: int,
        check: Callable[[View], str],
        *rules: Rule,
        udp_size: int = 0,
        opcode: int = 0,
        tcp: bool = False,
        cut: int = 0,
        before: Sequence[bytes] = (),
    ) -> None:
        number = plan.next_id
        octets = query(number, name, rtype, udp_size, opcode)
        octets = framed(octets) if tcp else octets
        sends = (*before, octets[:cut], octets[cut:]) if cut else (*before, octets)
        cases.append(Case(claim, number, sends, check, frozenset(rule.id for rule in rules), tcp))

    add("address", names.host, A, _records(names.of(names.host, A)))
    add("records", names.host, AAAA, _records(names.of(names.host, AAAA)))
    add("records", "example.com.", MX, _records(names.of("example.com.", MX)))
    add("records", "example.com.", NS, _records(names.of("example.com.", NS)))
    canonical = [*names.of(names.alias, CNAME), *names.of(names.host, A)]
    add("alias", names.alias, A, _records(canonical, ALIAS))
    add("alias", names.alias, CNAME, _records(names.of(names.alias, CNAME), ALIAS))
    add("nxdomain", names.missing, A, _negative(NAME_ERROR, NXDOMAIN), dns.NEGATIVE)
    add("nodata", names.host, MX, _negative(NO_DATA, NOERROR), dns.NEGATIVE)
    add("referral", f"www.{names.child}", A, _referral(names), dns.GLUE)
    add("truncation", names.text, TXT, _truncated, dns.TRUNCATION)
    add("tcp", names.text, TXT, _records(names.of(names.text, TXT), BY_TCP), tcp=True)
    add("edns", names.host, A, _edns(names.of(names.host, A)), udp_size=EDNS_SIZE)
    add("edns", names.text, TXT, _edns(names.of(names.text, TXT)), dns.TRUNCATION, udp_size=EDNS_SIZE)
    if which == "public":
        return cases
    add("case", names.host.upper(), A, _case(names.of(names.host, A)))
    add("segments", names.text, TXT, _records(names.of(names.text, TXT), BY_TCP), tcp=True, cut=7)
    add("robust", names.outside, A, _outside)
    add("robust", names.host, A, _not_implemented, opcode=OPCODE_STATUS)
    add("robust", names.host, A, _records(names.of(names.host, A)), before=(b"\0" * 5,))
    more(plan)
    return plan.cases


def _records(wanted: Sequence[Expected], rule: Rule = RECORDS) -> Callable[[View], str]:
    def check(view: View) -> str:
        view.expect_header(rule, NOERROR, aa=True)
        view.expect_records(rule, 1, wanted, only=True)
        return f"{view.asked} is answered with authority by {len(wanted)} records."

    return check


def _negative(rule: Rule, rcode: int) -> Callable[[View], str]:
    def check(view: View) -> str:
        view.expect_header(rule, rcode, aa=True)
        view.expect_records(rule, 1, (), only=True)
        soa = next((one for one in view.message.section(2) if one.rtype == SOA), None)
        if soa is None or soa.owner != "example.com.":
            start, end = (soa.start, soa.end) if soa else (2, 4)
            raise view.fault(rule, start, end, "the authority section lacks the zone's SOA", "example.com. IN SOA ...")
        return f"{view.asked} is answered by {RCODES[rcode]} with the SOA."

    return check


def _referral(names: Names) -> Callable[[View], str]:
    def check(view: View) -> str:
        view.expect_header(REFERRAL, NOERROR, aa=False)
        view.expect_records(REFERRAL, 1, (), only=True)
        view.expect_records(REFERRAL, 2, names.of(names.child, NS), only=True)
        view.expect_records(REFERRAL, 3, names.of(f"ns.{names.child}", A), only=True)
        return f"{view.asked} is answered by a referral with glue."

    return check


def _truncated(view: View) -> str:
    view.expect_header(TRUNCATED, NOERROR, aa=True, tc=True)
    return f"A response that is larger than 512 octets is truncated to {len(view.message.octets)}, with TC."


def _edns(wanted: Sequence[Expected]) -> Callable[[View], str]:
    def check(view: View) -> str:
        if not any(one.rtype == OPT for one in view.message.section(3)):
            raise view.fault(EDNS, 10, 12, "no OPT record in the response to a query with OPT", "ARCOUNT 1 and OPT")
        view.expect_header(EDNS, NOERROR, aa=True)
        view.expect_records(EDNS, 1, wanted, only=True)
        return "The response has OPT and all records."

    return check


def _case(wanted: Sequence[Expected]) -> Callable[[View], str]:
    def check(view: View) -> str:
        view.expect_header(CASE, NOERROR, aa=True)
        view.expect_records(CASE, 1, wanted, only=True)
        asked, end = view.query.message.octets, view.query.message.question_end
        if view.message.octets[12:end] != asked[12:end]:
            raise view.fault(CASE, 12, end, "the question in other letters", asked[12:end].hex(" "))
        return "Upper-case names are the same names."

    return check


def _outside(view: View) -> str:
    view.expect_header(OUTSIDE, REFUSED, aa=False)
    return "A name outside of the zone is refused."


def _not_implemented(view: View) -> str:
    view.expect_header(OPCODE, NOTIMP, aa=False)
    return "An unknown OPCODE is answered by NOTIMP."


class ServerTopo(Topo):  # type: ignore[misc]
    """Topology of a client and an authoritative name server with one zone file."""

    def build(self, zone: str = "") -> None:
        """Add the hosts and links; `zone` is the text of the zone file."""
        switch = self.addSwitch("s1")
        serves = f"lab7.services.dns.authoritative --zone {ZONE_FILE} --listen {ADDRESS} --port 53"
        self.addHost("client", ip="10.54.0.1/16")
        self.addHost("server", ip=f"{ADDRESS}/16", files={ZONE_FILE: zone}, serves=serves)
        self.addLink("client", switch, delay="5ms")
        self.addLink("server", switch)


def decide(captured: CaptureFile, names: Names, which: str, more: More = no_more) -> tuple[Verdict, ...]:
    """Return a verdict (shown, failed or undecided) on each claim about the name server under test, from a capture."""
    return decide_cases(captured, AT_CLIENT, cases_of(names, which, more))


def run(context: Run, more: More = no_more) -> Outcome:
    """Send the queries of all test cases in turn, and decide the claims from the capture at the client."""
    which, names = context.parameters["exercise"], draw_names(context.seed)
    cases = cases_of(names, which, more)
    network = subject_testbed(
        context,
        ServerTopo(zone=names.master_file),
        "authoritative",
        {"authoritative": "server"},
        lambda host: {"zone_file": str(host.workdir / ZONE_FILE)},
    )
    with measured(context, network, progress=None) as lab:
        client = Driver(lab.bed.host("client"), [RAW_CLIENT])
        with lab.recording(["client"]):
            send_all(context, client, [(one.claim, one.request(ADDRESS)) for one in cases])
    return outcome_of(
        context,
        lab,
        decide(lab.read_capture(), names, which, more),
        STATEMENTS,
        "authoritative",
        "lab7.services.dns.authoritative",
    )


def partial(
    captured: CaptureFile, _folder: Path, seed: int, parameters: dict[str, str], more: More = no_more
) -> tuple[Verdict, ...]:
    """Return the verdicts that the capture of an interrupted run supports, for the zone drawn from `seed`."""
    return decide(captured, draw_names(seed), parameters.get("exercise", EXERCISES[0]), more)


STATEMENTS = {
    "address": "The server answers a query for an address with authority.",
    "records": "The server answers with all records of the type, and no others.",
    "alias": "A query for an alias is answered by CNAME and the records of the canonical name.",
    "nxdomain": "A name that does not exist is answered by NXDOMAIN with the SOA.",
    "nodata": "A name without records of the type is answered by NOERROR with the SOA.",
    "referral": "A name below a zone cut is answered by a referral with glue.",
    "truncation": "A response that is larger than 512 octets is truncated, with TC.",
    "tcp": "A query by TCP is answered whole.",
    "edns": "A query with OPT is answered with OPT, and by a larger message.",
    "case": "Names are compared without regard to case.",
    "segments": "A query by TCP may come in several segments.",
    "robust": "Other zones, unknown OPCODEs and malformed messages do no harm.",
}
EXPERIMENT = experiment_of(
    "dns-server-exercise",
    "Does this DNS server do what RFC 1034 and RFC 1035 require of an authoritative server?",
    "DNS",
    STATEMENTS,
    "authoritative",
    run,
)
