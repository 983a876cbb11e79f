"""SPF: the examples of RFC 7208, and cases of its grammar, limits and results."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.authentication.spf.check import Client, Outcome, check, client_address
from lab7.services.mail.authentication.spf.macro import MacroValues, expand, expand_domain
from lab7.services.mail.authentication.spf.record import Result, SyntaxFaultError, parse_record, select_record
from tests.core.services.mail.authentication.records import Records

# RFC 7208 appendix A, with the addresses of example.com's hosts and their reverse mapping.
APPENDIX = """
example.com. MX 10 mail-a.example.com.
example.com. MX 20 mail-b.example.com.
example.com. A 192.0.2.10
example.com. A 192.0.2.11
amy.example.com. A 192.0.2.65
bob.example.com. A 192.0.2.66
mail-a.example.com. A 192.0.2.129
mail-b.example.com. A 192.0.2.130
example.org. MX 10 mail-c.example.org.
mail-c.example.org. A 192.0.2.140
10.2.0.192.in-addr.arpa. PTR example.com.
11.2.0.192.in-addr.arpa. PTR example.com.
65.2.0.192.in-addr.arpa. PTR amy.example.com.
66.2.0.192.in-addr.arpa. PTR bob.example.com.
129.2.0.192.in-addr.arpa. PTR mail-a.example.com.
130.2.0.192.in-addr.arpa. PTR mail-b.example.com.
140.2.0.192.in-addr.arpa. PTR mail-c.example.org.
4.0.0.10.in-addr.arpa. PTR bob.example.com.
mary.mobile-users._spf.example.com. A 127.0.0.2
fred.mobile-users._spf.example.com. A 127.0.0.2
15.15.168.192.joel.remote-users._spf.example.com. A 127.0.0.2
16.15.168.192.joel.remote-users._spf.example.com. A 127.0.0.2
"""
SIX_NIBBLES = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"


def outcome(
    record: str, address: str, zone: str = "", sender: str = "strong-bad@example.com", hello: str = "mail.example.net"
) -> Outcome:
    local_part, _, domain = sender.rpartition("@")
    records = Records(f'{domain}. TXT "{record}"\n{zone}')
    return records.run(check(Client(client_address(address), hello, "mx.example.net", 1.5), local_part, domain))


def result(record: str, address: str, zone: str = "", sender: str = "strong-bad@example.com") -> str:
    return outcome(record, address, zone, sender).result.value


@pytest.mark.parametrize(
    ("record", "passes", "fails"),
    [
        ("v=spf1 +all", ["192.0.2.129", "203.0.113.9"], []),
        ("v=spf1 a -all", ["192.0.2.10", "192.0.2.11"], ["192.0.2.65"]),
        ("v=spf1 a:example.org -all", [], ["192.0.2.10"]),
        ("v=spf1 mx -all", ["192.0.2.129", "192.0.2.130"], ["192.0.2.10"]),
        ("v=spf1 mx:example.org -all", ["192.0.2.140"], ["192.0.2.129"]),
        ("v=spf1 mx mx:example.org -all", ["192.0.2.129", "192.0.2.140"], ["192.0.2.65"]),
        ("v=spf1 mx/30 mx:example.org/30 -all", ["192.0.2.131", "192.0.2.143"], ["192.0.2.127", "192.0.2.139"]),
        ("v=spf1 ptr -all", ["192.0.2.65", "192.0.2.10"], ["192.0.2.140", "10.0.0.4"]),
        ("v=spf1 ip4:192.0.2.128/28 -all", ["192.0.2.129", "192.0.2.140"], ["192.0.2.65"]),
    ],
)
def test_the_simple_examples_of_the_rfc(record: str, passes: list[str], fails: list[str]) -> None:
    assert [result(record, address, APPENDIX) for address in passes] == ["pass"] * len(passes)
    assert [result(record, address, APPENDIX) for address in fails] == ["fail"] * len(fails)


def test_several_domains_share_one_record_by_redirect_and_include() -> None:
    """RFC 7208 appendix A.2."""
    zone = APPENDIX + '_spf.example.com. TXT "v=spf1 mx -all"\nexample.net. TXT "v=spf1 mx -all"\n'
    assert result("v=spf1 redirect=_spf.example.com", "203.0.113.1", zone) == "fail"
    shared = zone + "_spf.example.com. MX 10 mail-a.example.com.\n"
    assert result("v=spf1 redirect=_spf.example.com", "192.0.2.129", shared) == "pass"
    both = "v=spf1 include:example.com include:example.net -all"
    third = 'example.com. TXT "v=spf1 mx -all"\n' + zone
    assert result(both, "192.0.2.129", third, "a@two.example.org") == "pass"
    assert result(both, "192.0.2.10", third, "a@two.example.org") == "fail"


def test_users_may_send_from_outside_by_a_macro() -> None:
    """RFC 7208 appendices A.4 and 8.1: exists with the local part, and with the client's address."""
    record = "v=spf1 mx exists:%{l1r-}.mobile-users._spf.%{d} exists:%{ir}.%{l1r+-}.remote-users._spf.%{d} -all"
    assert result(record, "203.0.113.9", APPENDIX, "mary@example.com") == "pass"
    assert result(record, "192.168.15.15", APPENDIX, "joel@example.com") == "pass"
    assert result(record, "192.168.15.17", APPENDIX, "joel@example.com") == "fail"


VALUES = MacroValues(ip_address("192.0.2.3"), "strong-bad", "email.example.com", "email.example.com", "mx.example.org")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%%%_%-", "% %20"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{h}", "mx.example.org"),
    ],
)
def test_the_macros_of_the_rfc_expand_as_it_says(text: str, expanded: str) -> None:
    """RFC 7208 section 7.4."""
    assert expand(text, VALUES) == expanded


def test_an_ipv6_address_expands_to_nibbles() -> None:
    six = MacroValues(ip_address("2001:db8::cb01"), "strong-bad", "email.example.com", "email.example.com", "h")
    assert expand("%{ir}.%{v}._spf.%{d2}", six) == f"{SIX_NIBBLES}.ip6._spf.example.com"
    assert expand("%{c}", six) == "2001:db8::cb01"


def test_a_long_name_loses_labels_on_its_left() -> None:
    local_part = ".".join(["x" * 50] * 5)
    values = MacroValues(ip_address("192.0.2.3"), local_part, "example.com", "example.com", "h")
    domain = expand_domain("%{l}.%{d}", values)
    assert domain == ".".join(["x" * 50] * 4) + ".example.com"
    assert len(domain) <= 253


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 a:",
        "v=spf1 a:/24",
        "v=spf1 a:localhost",
        "v=spf1 a:example.111",
        "v=spf1 a/33",
        "v=spf1 a//129",
        "v=spf1 a/024",
        "v=spf1 mx/",
        "v=spf1 all:example.com",
        "v=spf1 all/8",
        "v=spf1 include",
        "v=spf1 include:example.com/24",
        "v=spf1 exists",
        "v=spf1 exists:%{c}.example.com",
        "v=spf1 exists:%{d0}.example.com",
        "v=spf1 exists:%{x}.example.com",
        "v=spf1 exists:%(l).example.com",
        "v=spf1 exists:%.example.com",
        "v=spf1 ip4",
        "v=spf1 ip4:192.0.2.1/33",
        "v=spf1 ip4:192.0.2",
        "v=spf1 ip4:192.0.2.1/",
        "v=spf1 ip4:2001:db8::1",
        "v=spf1 ip6:192.0.2.1",
        "v=spf1 ip6:2001:db8::1/129",
        "v=spf1 ptr:",
        "v=spf1 default=pass unknown-mechanism",
        "v=spf1 redirect=a.example.com redirect=a.example.com",
        "v=spf1 exp=a.example.com exp=a.example.com",
        "v=spf1 redirect=",
        "v=spf1 -all moo=%{x}",
        "v=spf1 $all",
        "v=spf1 -all\tmx",
    ],
)
def test_a_syntax_error_anywhere_is_permerror(record: str) -> None:
    assert result(f"v=spf1 +all {record[7:]}", "192.0.2.1") == "permerror"
    with pytest.raises(SyntaxFaultError):
        parse_record(record)


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1",
        "v=spf1   a    -all  ",
        "V=SPF1 A MX PTR -ALL",
        "v=spf1 a:mail.example.com/24//64",
        "v=spf1 a//64",
        "v=spf1 a:foo:bar/baz.example.com/24",
        "v=spf1 unknown=%{d}/x exists:%{l}_x.%%.example.com.",
        "v=spf1 a:example.co-op exists:%{d}",
        "v=spf1 redirect=%{o} exp=%{o}",
    ],
)
def test_what_the_grammar_permits_is_parsed(record: str) -> None:
    parse_record(record)


@given(st.text(alphabet="v=spf1 a:mxptrincludeexistsall%{dlri}/-+~?.0234", max_size=60))
def test_any_text_is_parsed_or_refused_as_a_record(text: str) -> None:
    try:
        parse_record("v=spf1 " + text)
    except SyntaxFaultError:
        return


def test_the_version_is_a_word() -> None:
    assert select_record([b"v=spf10 -all", b"something", b"v=spf1"]) == "v=spf1"
    assert select_record([b"v=spf2.0/pra -all"]) is None
    with pytest.raises(SyntaxFaultError):
        select_record([b"v=spf1 -all", b"v=spf1 +all"])


@pytest.mark.parametrize(
    ("qualifier", "expected"), [("", "pass"), ("+", "pass"), ("-", "fail"), ("~", "softfail"), ("?", "neutral")]
)
def test_the_qualifier_decides_the_result(qualifier: str, expected: str) -> None:
    assert result(f"v=spf1 {qualifier}ip4:192.0.2.1 -all", "192.0.2.1") == expected


def test_without_a_match_the_result_is_neutral_and_without_a_record_none() -> None:
    assert result("v=spf1 a", "203.0.113.1", APPENDIX) == "neutral"
    assert result("no record", "203.0.113.1") == "none"
    assert result("v=spf1 -all", "203.0.113.1", sender="a@localhost") == "none"
    long = "a" * 64 + ".example.com"
    assert Records("").run(check(Client(ip_address("192.0.2.1"), "h"), "a", long)).result is Result.NONE


def test_two_records_and_a_missing_target_are_permerror() -> None:
    assert result("v=spf1 -all", "192.0.2.1", 'example.com. TXT "v=spf1 mx -all"\n') == "permerror"
    assert result("v=spf1 include:nothing.example.com -all", "192.0.2.1") == "permerror"
    assert result("v=spf1 redirect=nothing.example.com", "192.0.2.1") == "permerror"


def test_an_included_fail_is_no_match() -> None:
    zone = 'other.example.com. TXT "v=spf1 ip4:192.0.2.1 -all"\n'
    assert result("v=spf1 include:other.example.com ~all", "192.0.2.9", zone) == "softfail"
    assert result("v=spf1 include:other.example.com ~all", "192.0.2.1", zone) == "pass"


def test_all_comes_before_redirect() -> None:
    zone = 'other.example.com. TXT "v=spf1 -all"\n'
    assert result("v=spf1 redirect=other.example.com ?all", "192.0.2.9", zone) == "neutral"


def test_a_failing_name_server_is_temperror_but_not_for_ptr() -> None:
    client = Client(ip_address("192.0.2.1"), "h")
    for broken in ({"failing": ("b.example.com.",)}, {"silent": ("b.example.com.",)}):
        records = Records('a.example.com. TXT "v=spf1 a:b.example.com -all"\n', **broken)
        assert records.run(check(client, "x", "a.example.com")).result is Result.TEMPERROR
    reverse = ("1.2.0.192.in-addr.arpa.",)
    records = Records('a.example.com. TXT "v=spf1 ptr -all"\n', failing=reverse)
    assert records.run(check(client, "x", "a.example.com")).result is Result.FAIL


def test_ten_terms_with_queries_are_allowed_and_eleven_are_not() -> None:
    hosts = "".join(f"h{number}.example.com. A 192.0.2.{number}\n" for number in range(1, 13))
    ten = " ".join(f"a:h{number}.example.com" for number in range(1, 11))
    assert result(f"v=spf1 {ten} -all", "203.0.113.1", hosts) == "fail"
    assert result(f"v=spf1 {ten} a:h11.example.com -all", "203.0.113.1", hosts) == "permerror"
    # A match before the limit decides.
    assert result(f"v=spf1 {ten} a:h11.example.com -all", "192.0.2.10", hosts) == "pass"


def test_terms_of_included_records_count_as_well_and_a_loop_ends() -> None:
    loop = 'b.example.com. TXT "v=spf1 include:example.com -all"\n'
    assert result("v=spf1 include:b.example.com -all", "192.0.2.1", loop) == "permerror"


def test_two_void_lookups_are_allowed_and_three_are_not() -> None:
    assert result("v=spf1 a:n1.example.com a:n2.example.com -all", "192.0.2.1") == "fail"
    assert result("v=spf1 a:n1.example.com exists:n2.example.com mx:n3.example.com -all", "192.0.2.1") == "permerror"


def test_more_than_ten_mx_names_are_permerror() -> None:
    names = "".join(
        f"many.example.com. MX {n} m{n}.example.com.\nm{n}.example.com. A 192.0.2.{n}\n" for n in range(1, 12)
    )
    assert result("v=spf1 mx:many.example.com -all", "203.0.113.1", names) == "permerror"


def test_only_ten_ptr_names_are_looked_at() -> None:
    names = "".join(
        f"1.2.0.192.in-addr.arpa. PTR p{n}.example.com.\np{n}.example.com. A 203.0.113.1\n" for n in range(10)
    )
    last = names + "1.2.0.192.in-addr.arpa. PTR right.example.com.\nright.example.com. A 192.0.2.1\n"
    assert result("v=spf1 ptr -all", "192.0.2.1", last) == "fail"


def test_ipv6_clients_are_compared_with_aaaa_and_ip6() -> None:
    zone = "mail.example.com. A 192.0.2.1\nmail.example.com. AAAA 2001:db8::1\n"
    record = "v=spf1 a:mail.example.com/24//64 ip6:2001:db8:1::/48 -all"
    assert result(record, "2001:db8::2", zone) == "pass"
    assert result(record, "2001:db8:1::5", zone) == "pass"
    assert result(record, "2001:db8:2::5", zone) == "fail"
    # Section 5: an IPv4-mapped address is an IPv4 address.
    assert result("v=spf1 ip4:192.0.2.7 -all", "::ffff:192.0.2.7") == "pass"


def test_exists_asks_for_ipv4_whatever_the_client_has() -> None:
    assert result("v=spf1 exists:there.example.com -all", "2001:db8::1", "there.example.com. A 127.0.0.2\n") == "pass"


def test_the_explanation_of_a_fail_is_expanded() -> None:
    zone = 'why.example.com. TXT "%{i} is not one of %{d}%{_}s hosts, %{r} at %{t}"\n'.replace("%{_}", "%_")
    found = outcome("v=spf1 exp=why.%{d} -all", "192.0.2.1", zone)
    assert found.explanation == "192.0.2.1 is not one of example.com s hosts, mx.example.net at 1"
    assert outcome("v=spf1 exp=none.%{d} -all", "192.0.2.1", zone).explanation == ""
    broken = 'why.example.com. TXT "%{x}"\n'
    assert outcome("v=spf1 exp=why.%{d} -all", "192.0.2.1", broken) == Outcome(Result.FAIL, "example.com")


def test_the_explanation_of_an_included_domain_is_not_used() -> None:
    zone = 'in.example.com. TXT "v=spf1 exp=why.example.com -all"\nwhy.example.com. TXT "inner"\n'
    assert outcome("v=spf1 include:in.example.com -all", "192.0.2.1", zone).explanation == ""
    assert outcome("v=spf1 redirect=in.example.com", "192.0.2.1", zone).explanation == "inner"


def test_the_validated_name_of_a_client_is_a_macro() -> None:
    record = "v=spf1 exists:%{p}.ok.example.com -all"
    zone = APPENDIX + "amy.example.com.ok.example.com. A 127.0.0.2\nunknown.ok.example.com. A 127.0.0.2\n"
    assert result(record, "192.0.2.65", zone) == "pass"
    assert result(record, "192.0.2.66", zone) == "fail"
    assert result(record, "203.0.113.1", zone) == "pass"
