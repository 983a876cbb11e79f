"""Mailboxes, paths and domains in the grammar of RFC 5321."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.address import (
    Mailbox,
    MailboxError,
    PathError,
    PathTooLongError,
    is_domain,
    literal_address,
    parse_loose_path,
    parse_mailbox,
    parse_path,
)


@pytest.mark.parametrize(
    ("octets", "mailbox", "rest"),
    [
        (b"<>", None, b""),
        (b"<a@b>", Mailbox("a", "b"), b""),
        (b"<a.b+c@x-1.example> SIZE=1", Mailbox("a.b+c", "x-1.example"), b" SIZE=1"),
        (b"<@r.example:a@b>", Mailbox("a", "b"), b""),
        (b'<"a@b c"@d.example>', Mailbox("a@b c", "d.example"), b""),
        (b'<"\\"\\\\"@d>', Mailbox('"\\', "d"), b""),
        (b'<""@d>', Mailbox("", "d"), b""),
        (b"<a@[192.0.2.1]>", Mailbox("a", "[192.0.2.1]"), b""),
        (b"<a@[IPv6:2001:db8::1]>", Mailbox("a", "[IPv6:2001:db8::1]"), b""),
        (b"<Postmaster>", Mailbox("Postmaster", ""), b""),
    ],
)
def test_paths(octets: bytes, mailbox: Mailbox | None, rest: bytes) -> None:
    assert parse_path(octets) == (mailbox, rest)


@pytest.mark.parametrize(
    "octets",
    [b"", b"a@b", b"<a@b", b"<a@b>x", b"<<a@b>>", b"< a@b>>"],
)
def test_what_is_no_path(octets: bytes) -> None:
    with pytest.raises(PathError):
        parse_path(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"<a>", b"<@b>", b"<a@>", b"<.a@b>", b"<a.@b>", b"<a..b@c>", b"<a b@c>", b"<a@b..c>", b"<a@-b>", b"<a@b->",
        b"<a@b_c>", b"<a@[300.1.1.1]>", b"<a@[x]>", b"<\xc3\xa4@b>", b"<a@b.>", b"<a,b@c>", b"< >",
    ],
)  # fmt: skip
def test_what_is_no_mailbox(octets: bytes) -> None:
    with pytest.raises(MailboxError):
        parse_path(octets)


@pytest.mark.parametrize("octets", [b"<" + b"a" * 65 + b"@b>", b"<a@" + b"b." * 130 + b"c>"])
def test_what_is_too_long(octets: bytes) -> None:
    with pytest.raises(PathTooLongError):
        parse_path(octets)


def test_domains_and_literals() -> None:
    assert is_domain("a.b-c.example")
    assert not is_domain("a" * 64)
    assert not is_domain("")
    assert literal_address("[IPv6:::1]") == "::1"
    assert literal_address("[ipv6:fe80::1%eth0]") is None
    assert literal_address("192.0.2.1") is None


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30))
def test_what_is_written_is_read_back(local_part: str) -> None:
    mailbox = Mailbox(local_part, "example.com")
    assert parse_mailbox(str(mailbox)) == mailbox
    assert parse_path(f"<{mailbox}>".encode()) == (mailbox, b"")


@given(st.binary(max_size=60))
def test_any_octets_are_a_path_or_an_error(octets: bytes) -> None:
    try:
        mailbox, rest = parse_path(b"<" + octets)
    except (PathError, MailboxError):
        return
    assert octets.endswith(rest)
    assert mailbox is None or mailbox.local_part or b'""@' in octets


@pytest.mark.parametrize(
    ("octets", "mailbox", "rest"),
    [
        (b"a@b.example", Mailbox("a", "b.example"), b""),
        (b"a@b.example SIZE=10", Mailbox("a", "b.example"), b" SIZE=10"),
        (b"< a@b.example >  SIZE=10", Mailbox("a", "b.example"), b"  SIZE=10"),
        (b"<a@b.example", Mailbox("a", "b.example"), b""),
        (b"a@b.example>", Mailbox("a", "b.example"), b""),
        (b"@relay.example:a@b.example", Mailbox("a", "b.example"), b""),
        (b"< @r.example,@s.example:a@b.example>", Mailbox("a", "b.example"), b""),
        (b"Ann<a@b.example>", Mailbox("a", "b.example"), b""),
        (b'"Ann < B"<a@b.example>(comment here) SIZE=1', Mailbox("a", "b.example"), b" SIZE=1"),
        (b"a@b.example(Ann B)", Mailbox("a", "b.example"), b""),
        (b"<a..b@c.example>", Mailbox("a..b", "c.example"), b""),
        (b"<.a.@c.example>", Mailbox(".a.", "c.example"), b""),
        (b'<a."b c".d@e.example>', Mailbox("a.b c.d", "e.example"), b""),
        (b'"a b"@c.example', Mailbox("a b", "c.example"), b""),
        (b'""@c.example', Mailbox("", "c.example"), b""),
        (b"<a@b_c.example>", Mailbox("a", "b_c.example"), b""),
        (b"<a@b.example.>", Mailbox("a", "b.example"), b""),
        (b"a@[192.0.2.1]", Mailbox("a", "[192.0.2.1]"), b""),
        (b"ann", Mailbox("ann", ""), b""),
        (b"<ann>", Mailbox("ann", ""), b""),
        (b"<>", None, b""),
    ],
)
def test_loose_paths_are_accepted(octets: bytes, mailbox: Mailbox | None, rest: bytes) -> None:
    assert parse_loose_path(octets) == (mailbox, rest)
    if mailbox is not None and mailbox.domain and "_" not in mailbox.domain:
        # The next server gets it in the strict grammar.
        assert parse_path(f"<{mailbox}>".encode()) == (mailbox, b"")


@pytest.mark.parametrize(
    "octets",
    [b"", b"<@b>", b"a@", b"<a@>", b"<a@b>x", b"<a@b><c@d>", b"<a@b..c>", b"<a@@b>", b"a,b@c", b"<a\xe9@b>", b"<a@[x]>",
     b"(a@b)", b"< >"],
)  # fmt: skip
def test_no_mailbox_in_a_loose_path(octets: bytes) -> None:
    with pytest.raises((PathError, MailboxError)):
        parse_loose_path(octets)


@given(st.text(st.sampled_from('a@b<>" \\().,;:'), max_size=30))
def test_any_loose_path_is_a_mailbox_that_can_be_written_or_an_error(text: str) -> None:
    try:
        mailbox, _ = parse_loose_path(text.encode())
    except (PathError, MailboxError):
        return
    if mailbox is not None and mailbox.domain:
        assert parse_path(f"<{mailbox}>".encode()) == (mailbox, b"")


def test_a_local_part_that_is_almost_valid_is_refused_in_linear_time() -> None:
    """With nested repetitions this would take longer than any test: 2 to the power of the number of letters."""
    with pytest.raises(PathError):
        parse_loose_path(b"RCPT".ljust(100, b"a") + b'"@example.com')
