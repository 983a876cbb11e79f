"""Domain names: limits, case, escapes, canonical order, ancestors and subdomains."""

import dns.name
import pytest
from hypothesis import given

from lab7.services.dns.codec.errors import NameTooLongError, TextError
from lab7.services.dns.codec.name import ROOT, Name
from tests.core.services.dns.strategies import NAMES

EXAMPLE = Name.from_text("example.com.")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (".", ()),
        ("a.", (b"a",)),
        ("a", (b"a", b"example", b"com")),
        (r"a\.b", (b"a.b", b"example", b"com")),
        (r"\097.", (b"a",)),
        (r"a\032b.", (b"a b",)),
        (r"\\.", (b"\\",)),
        (r"\255.", (b"\xff",)),
        ("*.a.", (b"*", b"a")),
    ],
)
def test_presentation_form(text: str, labels: tuple[bytes, ...]) -> None:
    assert Name.from_text(text, EXAMPLE).labels == labels


@pytest.mark.parametrize(
    "text",
    ["", "..", "a..b", ".a", "\\", "a\\", r"\25", r"\256.", r"\2x5.", "a" * 64, "\u20ac.", ".".join(["a" * 63] * 4)],
)
def test_invalid_names_are_rejected(text: str) -> None:
    with pytest.raises(TextError):
        Name.from_text(text)


def test_a_label_has_63_octets_and_a_name_255() -> None:
    Name((b"a" * 63,))
    whole = (b"a" * 63, b"a" * 63, b"a" * 63, b"a" * 61)
    assert len(Name(whole).to_wire()) == 255
    for labels in ((b"a" * 64,), (b"",), (*whole[:3], b"a" * 62)):
        with pytest.raises(NameTooLongError):
            Name(labels)


def test_case_folding_is_ascii_only() -> None:
    assert Name((b"ABZ",)) == Name((b"abz",))
    assert hash(Name((b"ABZ",))) == hash(Name((b"abz",)))
    assert Name((b"\xc4",)) != Name((b"\xe4",))
    assert Name((b"[",)) != Name((b"{",))


def test_above_and_below() -> None:
    name = Name.from_text("a.B.Example.com.")
    assert name.is_below(EXAMPLE)
    assert name.is_below(name)
    assert not name.is_strictly_below(name)
    assert EXAMPLE.is_below(ROOT)
    assert not Name.from_text("badexample.com.").is_below(EXAMPLE)
    assert [str(one) for one in Name.from_text("a.b.").ancestors()] == ["a.b.", "b.", "."]
    assert str(name.substituted(EXAMPLE, Name.from_text("net."))) == "a.B.net."
    assert str(name.suffix(2)) == "Example.com."


def test_the_canonical_order_of_rfc_4034_section_6_1() -> None:
    texts = ["example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example."]
    texts += [r"\001.z.example.", "*.z.example.", r"\200.z.example."]
    names = [Name.from_text(text) for text in texts]
    shuffled = names[::-1]
    assert sorted(shuffled) == names


@given(NAMES)
def test_text_and_octets_equal_those_of_dnspython(name: Name) -> None:
    theirs = dns.name.Name((*name.labels, b""))
    assert Name.from_text(str(name)) == name
    assert Name.from_text(str(name)).labels == name.labels
    assert dns.name.from_text(str(name)) == theirs
    assert Name.from_text(str(theirs)).labels == name.labels
    assert name.to_wire() == theirs.to_wire()
    assert name.canonical() == theirs.canonicalize().to_wire()


@given(NAMES, NAMES)
def test_order_and_ancestry_agree_with_dnspython(one: Name, two: Name) -> None:
    their_one, their_two = (dns.name.Name((*name.labels, b"")) for name in (one, two))
    assert (one < two) == (their_one < their_two)
    assert (one == two) == (their_one == their_two)
    assert one.is_below(two) == their_one.is_subdomain(their_two)
