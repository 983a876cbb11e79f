"""Zone lookup: one test per rule."""

import pytest

from lab7.services.dns.codec.codes import RRClass
from lab7.services.dns.codec.name import Name
from lab7.services.dns.zones.zone import CHAIN_MAX, Completeness, Zones
from tests.core.services.dns.transcripts import ask, zone

SOA = "authority example. 30 SOA ns.example. hostmaster.example. 1 2 3 4 30"

# The zone of RFC 4592 section 2.2.1.
RFC_4592 = zone(
    """
*                3600     TXT   "this is a wildcard"
*                3600     MX    10 host1.example.
sub.*            3600     TXT   "this is not a wildcard"
host1            3600     A     192.0.2.1
_ssh._tcp.host1  3600     SRV   0 0 22 host1
_ssh._tcp.host2  3600     SRV   0 0 22 host1
subdel           3600     NS    ns.example.com.
subdel           3600     NS    ns.example.net.
"""
)
HOST1 = "additional host1.example. 3600 A 192.0.2.1"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("host3.example. MX", ["NOERROR aa", "host3.example. 3600 MX 10 host1.example.", HOST1]),
        ("host3.example. A", ["NOERROR aa", SOA]),
        ("foo.bar.example. TXT", ["NOERROR aa", 'foo.bar.example. 3600 TXT "this is a wildcard"']),
        ("host1.example. MX", ["NOERROR aa", SOA]),
        ("sub.*.example. MX", ["NOERROR aa", SOA]),
        ("_telnet._tcp.host1.example. SRV", ["NXDOMAIN aa", SOA]),
        ("host.subdel.example. A", ["NOERROR", "authority subdel.example. 3600 NS ns.example.com.",
                                    "authority subdel.example. 3600 NS ns.example.net."]),
        ("ghost.*.example. MX", ["NXDOMAIN aa", SOA]),
        ("*.example. TXT", ["NOERROR aa", '*.example. 3600 TXT "this is a wildcard"']),
        ("_tcp.host1.example. A", ["NOERROR aa", SOA]),
        ("host2.example. A", ["NOERROR aa", SOA]),
        ("host1.other. A", ["REFUSED"]),
    ],
)  # fmt: skip
def test_the_examples_of_rfc_4592(question: str, answer: list[str]) -> None:
    assert ask(RFC_4592, question) == answer


ALIASES = zone(
    """
www     CNAME host
host    A     192.0.2.2
dangling CNAME none
out     CNAME www.elsewhere.
one     CNAME two
two     CNAME one
self    CNAME self
*.w     CNAME host
cut     NS    ns.cut
ns.cut  A     192.0.2.3
ns.cut  AAAA  2001:db8::3
into    CNAME www.cut
"""
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("www.example. A", ["NOERROR aa", "www.example. 60 CNAME host.example.", "host.example. 60 A 192.0.2.2"]),
        ("www.example. CNAME", ["NOERROR aa", "www.example. 60 CNAME host.example."]),
        ("www.example. ANY", ["NOERROR aa", "www.example. 60 CNAME host.example."]),
        ("www.example. MX", ["NOERROR aa", "www.example. 60 CNAME host.example.", SOA]),
        ("dangling.example. A", ["NXDOMAIN aa", "dangling.example. 60 CNAME none.example.", SOA]),
        ("out.example. A", ["NOERROR aa", "out.example. 60 CNAME www.elsewhere."]),
        ("one.example. A", ["NOERROR aa", "one.example. 60 CNAME two.example.", "two.example. 60 CNAME one.example."]),
        ("self.example. A", ["NOERROR aa", "self.example. 60 CNAME self.example."]),
        ("a.b.w.example. A", ["NOERROR aa", "a.b.w.example. 60 CNAME host.example.", "host.example. 60 A 192.0.2.2"]),
        ("into.example. A", ["NOERROR aa", "into.example. 60 CNAME www.cut.example.",
                             "authority cut.example. 60 NS ns.cut.example.",
                             "additional ns.cut.example. 60 A 192.0.2.3",
                             "additional ns.cut.example. 60 AAAA 2001:db8::3"]),
    ],
)  # fmt: skip
def test_aliases(question: str, answer: list[str]) -> None:
    assert ask(ALIASES, question) == answer


def test_a_chain_is_followed_so_far_and_no_further() -> None:
    long = zone("".join(f"a{n} CNAME a{n + 1}\n" for n in range(CHAIN_MAX + 5)))
    assert len(ask(long, "a0.example. A")) == 1 + CHAIN_MAX


def test_a_chain_goes_on_in_other_zones_of_the_server() -> None:
    zones = Zones([zone("www CNAME www.cdn.\n"), zone("www A 192.0.2.9\n", "cdn.")])
    assert ask(zones, "www.example. A") == ["NOERROR aa", "www.example. 60 CNAME www.cdn.", "www.cdn. 60 A 192.0.2.9"]


CUTS = zone(
    """
child       NS   ns.child
child       NS   ns.sibling
child       NS   ns
child       DS   1 8 2 00
child       TXT  hidden
ns.child    A    192.0.2.4
www.child   A    192.0.2.5
deep.child  NS   nowhere.
sibling     NS   ns.sibling
ns.sibling  A    192.0.2.6
"""
)
REFERRAL = [
    "NOERROR",
    "authority child.example. 60 NS ns.child.example.",
    "authority child.example. 60 NS ns.sibling.example.",
    "authority child.example. 60 NS ns.example.",
    "additional ns.child.example. 60 A 192.0.2.4",
    "additional ns.sibling.example. 60 A 192.0.2.6",
    "additional ns.example. 60 A 192.0.2.1",
]


@pytest.mark.parametrize(
    "question",
    ["child.example. A", "child.example. NS", "child.example. TXT", "child.example. ANY", "www.child.example. A",
     "ns.child.example. A", "x.deep.child.example. A", "none.child.example. A", "a.child.example. DS"],
)  # fmt: skip
def test_below_a_cut_there_is_only_a_referral(question: str) -> None:
    assert ask(CUTS, question) == REFERRAL


def test_ds_is_answered_above_the_cut() -> None:
    assert ask(CUTS, "child.example. DS") == ["NOERROR aa", "child.example. 60 DS 1 8 2 00"]
    assert ask(CUTS, "sibling.example. DS") == ["NOERROR aa", SOA]


def test_ds_is_answered_from_the_parent_where_both_are_served() -> None:
    zones = Zones([CUTS, zone("", "child.example.")])
    assert ask(zones, "child.example. DS") == ["NOERROR aa", "child.example. 60 DS 1 8 2 00"]
    assert ask(zones, "child.example. SOA")[0] == "NOERROR aa"
    assert ask(Zones([zone("", "child.example.")]), "child.example. DS")[0] == "NOERROR aa"


LONG = "b" * 63
REDIRECTED = zone(
    f"""
old       9 DNAME new
old       A     192.0.2.7
below.old A     192.0.2.8
www.new   A     192.0.2.9
*.wild    DNAME new
long      DNAME {LONG}.{LONG}.{LONG}
loop      DNAME loop
"""
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("www.old.example. A", ["NOERROR aa", "old.example. 9 DNAME new.example.",
                                "www.old.example. 9 CNAME www.new.example.", "www.new.example. 60 A 192.0.2.9"]),
        ("old.example. A", ["NOERROR aa", "old.example. 60 A 192.0.2.7"]),
        ("old.example. DNAME", ["NOERROR aa", "old.example. 9 DNAME new.example."]),
        ("www.old.example. CNAME", ["NOERROR aa", "old.example. 9 DNAME new.example.",
                                    "www.old.example. 9 CNAME www.new.example."]),
        ("below.old.example. A", ["NXDOMAIN aa", "old.example. 9 DNAME new.example.",
                                  "below.old.example. 9 CNAME below.new.example.", SOA]),
        ("a.wild.example. A", ["NOERROR aa", SOA]),
        ("a.wild.example. DNAME", ["NOERROR aa", "a.wild.example. 60 DNAME new.example."]),
        ("www.*.wild.example. A", ["NOERROR aa", "*.wild.example. 60 DNAME new.example.",
                                   "www.*.wild.example. 60 CNAME www.new.example.",
                                   "www.new.example. 60 A 192.0.2.9"]),
        ("a.loop.example. A", ["NOERROR aa", "loop.example. 60 DNAME loop.example.",
                               "a.loop.example. 60 CNAME a.loop.example."]),
        (f"{'a' * 63}.long.example. A", ["YXDOMAIN aa", f"long.example. 60 DNAME {LONG}.{LONG}.{LONG}.example."]),
    ],
)  # fmt: skip
def test_dname(question: str, answer: list[str]) -> None:
    assert ask(REDIRECTED, question) == answer


def test_a_wildcard_below_which_names_lie_but_that_has_no_records_gives_no_data() -> None:
    assert ask(zone("a.* A 192.0.2.1\n"), "x.example. A") == ["NOERROR aa", SOA]


def test_the_spelling_of_a_wildcards_answer_is_the_questions() -> None:
    assert ask(zone("*.w A 192.0.2.1\n"), "A.b.W.eXample. A")[1] == "A.b.W.eXample. 60 A 192.0.2.1"
    assert ask(zone("WwW A 192.0.2.1\n"), "www.example. A")[1] == "WwW.example. 60 A 192.0.2.1"


def test_additional_addresses_come_from_the_zone_and_are_not_said_twice() -> None:
    zones = Zones([zone("@ MX 1 ns\n@ MX 2 mail.other.\n"), zone("mail A 192.0.2.9\n", "other.")])
    assert ask(zones, "example. MX")[1:] == [
        "example. 60 MX 1 ns.example.",
        "example. 60 MX 2 mail.other.",
        "additional ns.example. 60 A 192.0.2.1",
    ]


def test_a_wildcard_gives_a_host_its_addresses_in_the_additional_section() -> None:
    """As in NSD and Knot DNS (RFC 1034 section 4.3.2 step 6, RFC 4592 section 3.3.1)."""
    found = ask(zone("@ MX 1 mail.w\n*.w A 192.0.2.3\nsub NS x.w\n"), "example. MX")
    assert found[2:] == ["additional mail.w.example. 60 A 192.0.2.3"]
    assert ask(zone("*.w A 192.0.2.3\nsub NS x.w\n"), "sub.example. A")[2:] == [
        "additional x.w.example. 60 A 192.0.2.3"
    ]


def test_glue_is_for_name_servers_only() -> None:
    """RFC 2181 section 5.4.1; as in BIND and NSD."""
    text = "@ MX 1 ns.sub\nsub NS ns.sub\nns.sub A 192.0.2.4\n"
    assert ask(zone(text), "example. MX") == ["NOERROR aa", "example. 60 MX 1 ns.sub.example."]
    assert ask(zone(text), "sub.example. A")[2:] == ["additional ns.sub.example. 60 A 192.0.2.4"]


NS_SET = [
    "authority example. 60 NS ns.example.",
    "authority example. 60 NS ns.other.",
    "additional ns.example. 60 A 192.0.2.1",
]
SERVERS = zone(
    """
@        NS    ns.other.
@        MX    1 mail
mail     A     192.0.2.2
*.w      A     192.0.2.3
alias    CNAME mail
out      CNAME www.other.
sub      NS    ns.sub
ns.sub   A     192.0.2.4
tosub    CNAME x.sub
d        DNAME a.d
e        DNAME f
x.f      A     192.0.2.5
"""
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("mail.example. A", ["mail.example. 60 A 192.0.2.2", *NS_SET]),
        ("a.w.example. A", ["a.w.example. 60 A 192.0.2.3", *NS_SET]),
        ("alias.example. A", ["alias.example. 60 CNAME mail.example.", "mail.example. 60 A 192.0.2.2", *NS_SET]),
        ("alias.example. ANY", ["alias.example. 60 CNAME mail.example.", *NS_SET[:2]]),
        ("x.e.example. A", ["e.example. 60 DNAME f.example.", "x.e.example. 60 CNAME x.f.example.",
                            "x.f.example. 60 A 192.0.2.5", *NS_SET]),
        ("example. MX", ["example. 60 MX 1 mail.example.", *NS_SET[:2], "additional mail.example. 60 A 192.0.2.2",
                         NS_SET[2]]),
        # The NS set is in the answer, or what follows is not in the zone, or it is no positive answer.
        ("example. NS", ["example. 60 NS ns.example.", "example. 60 NS ns.other.", NS_SET[2]]),
        ("out.example. A", ["out.example. 60 CNAME www.other."]),
        ("x.d.example. A", ["d.example. 60 DNAME a.d.example.", "x.d.example. 60 CNAME x.a.d.example."]),
        ("tosub.example. A", ["tosub.example. 60 CNAME x.sub.example.", "authority sub.example. 60 NS ns.sub.example.",
                              "additional ns.sub.example. 60 A 192.0.2.4"]),
        ("mail.example. TXT", [SOA]),
        ("none.example. A", [SOA]),
    ],
)  # fmt: skip
def test_the_name_servers_of_the_zone_are_with_positive_answers(question: str, answer: list[str]) -> None:
    assert ask(SERVERS, question, completeness=Completeness.NAME_SERVERS)[1:] == answer


def test_only_the_required_records_are_left_where_no_others_are_wanted() -> None:
    required = Completeness.REQUIRED
    assert ask(SERVERS, "example. MX", completeness=required) == ["NOERROR aa", "example. 60 MX 1 mail.example."]
    assert ask(SERVERS, "x.sub.example. A", completeness=required)[1:] == [
        "authority sub.example. 60 NS ns.sub.example.",
        "additional ns.sub.example. 60 A 192.0.2.4",
    ]


def test_an_alias_answers_for_the_types_that_it_has_itself() -> None:
    signed = zone("a CNAME b\na NSEC c CNAME NSEC\nb A 192.0.2.1\nc CNAME b\n")
    assert ask(signed, "a.example. NSEC") == ["NOERROR aa", "a.example. 60 NSEC c.example. CNAME NSEC"]
    assert ask(signed, "c.example. NSEC") == ["NOERROR aa", "c.example. 60 CNAME b.example.", SOA]


def test_a_zone_that_could_not_be_loaded_is_servfail() -> None:
    zones = Zones([zone("a A 192.0.2.1\n"), zone("b A 192.0.2.2\n", "low.mid.example.")])
    zones.add_unloaded(Name.from_text("mid.example."))
    assert ask(zones, "x.mid.example. A") == ["SERVFAIL"]
    assert ask(zones, "a.example. A") == ["NOERROR aa", "a.example. 60 A 192.0.2.1"]
    assert ask(zones, "b.low.mid.example. A") == ["NOERROR aa", "b.low.mid.example. 60 A 192.0.2.2"]


def test_any_gets_every_set() -> None:
    assert ask(zone("a A 192.0.2.1\na TXT b\n"), "a.example. ANY") == [
        "NOERROR aa",
        "a.example. 60 A 192.0.2.1",
        'a.example. 60 TXT "b"',
    ]


def test_classes() -> None:
    assert ask(RFC_4592, "host1.example. A", RRClass.CH) == ["REFUSED"]
    assert ask(RFC_4592, "host1.example. A", RRClass.ANY) == ["NOERROR", "host1.example. 3600 A 192.0.2.1"]
