"""Transaction signatures (TSIG): queries signed by dnspython, and responses that dnspython verifies."""

from __future__ import annotations

import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from lab7.services.dns.server.responder import Client, ServerCodec
from lab7.services.dns.server.tsig import tsig_keys
from lab7.services.dns.zones.handler import AuthoritativeResponder, Authority
from lab7.services.dns.zones.zone import Zones
from lab7.services.errors import ServiceError
from tests.core.services.dns.transcripts import zone

SECRET = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
KEY_FILE = """# a comment
key "k.test" {{
    algorithm {0};
    secret "{1}"; // another
}};
"""
UDP = Client("192.0.2.9", 53124)
ZONE = zone("www A 192.0.2.1\nbig TXT " + " ".join(f'"{letter * 250}"' for letter in "abcdef") + "\n")


def responder(folder: Path, algorithm: str = "hmac-sha256", ahead_s: float = 0.0) -> AuthoritativeResponder:
    """Return a server with a key, whose clock is ahead of that of the clients."""
    (folder / "key").write_text(KEY_FILE.format(algorithm, SECRET))
    keys = tsig_keys([str(folder / "key")])
    codec = ServerCodec(keys=keys, now=lambda: time.time() + ahead_s)
    return AuthoritativeResponder(Authority(Zones([ZONE])), codec)


def keyring(secret: str = SECRET, name: str = "k.test.") -> dict[dns.name.Name, dns.tsig.Key]:
    made: dict[dns.name.Name, dns.tsig.Key] = dns.tsigkeyring.from_text({name: secret})
    return made


def signed(
    qname: str = "www.example.", rtype: str = "A", algorithm: str = "hmac-sha256", **key: str
) -> dns.message.Message:
    query = dns.message.make_query(qname, rtype)
    query.use_tsig(keyring(**key), algorithm=dns.name.from_text(algorithm))
    return query


def reply(server: AuthoritativeResponder, query: dns.message.Message) -> dns.message.Message:
    """Return the response, whose signature dnspython verifies."""
    octets = server(query.to_wire(), UDP)
    assert octets is not None
    return dns.message.from_wire(octets, keyring=query.keyring, request_mac=query.mac)


def bare(server: AuthoritativeResponder, query: dns.message.Message) -> dns.message.Message:
    """Return the response, whose TSIG record is not verified."""
    octets = server(query.to_wire(), UDP)
    assert octets is not None
    return dns.message.from_wire(octets, keyring=False)


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_the_response_to_a_signed_query_is_signed(tmp_path: Path, digest: str) -> None:
    algorithm = f"hmac-{digest}"
    response = reply(responder(tmp_path, algorithm), signed(algorithm=algorithm))
    assert response.had_tsig
    assert (response.rcode(), [rrset[0].to_text() for rrset in response.answer]) == (0, ["192.0.2.1"])


def test_each_signed_query_has_a_signature_of_its_own(tmp_path: Path) -> None:
    """A cached response would have the signature of another query."""
    server = responder(tmp_path)
    query = signed()
    octets = [server(query.to_wire(), UDP) for _ in range(2)]
    assert all(one is not None and one[:2] == query.id.to_bytes(2, "big") for one in octets)
    assert len(server._cache) == 0
    unsigned = server(dns.message.make_query("www.example.", "A").to_wire(), UDP)
    assert unsigned is not None
    assert not dns.message.from_wire(unsigned).had_tsig


def test_a_truncated_response_has_room_for_the_signature(tmp_path: Path) -> None:
    query = signed("big.example.", "TXT")
    query.use_edns(False)
    query.use_tsig(keyring(), algorithm=dns.tsig.HMAC_SHA256)
    octets = responder(tmp_path)(query.to_wire(), UDP)
    assert octets is not None
    assert len(octets) <= 512
    response = dns.message.from_wire(octets, keyring=query.keyring, request_mac=query.mac)
    assert response.flags & dns.flags.TC


@pytest.mark.parametrize(
    ("key", "error"),
    [({"name": "other.test."}, dns.tsig.PeerBadKey), ({"secret": SECRET[4:]}, dns.tsig.PeerBadSignature)],
    ids=["unknown key", "another secret"],
)
def test_an_invalid_signature_is_notauth(tmp_path: Path, key: dict[str, str], error: type[Exception]) -> None:
    query, server = signed(**key), responder(tmp_path)
    with pytest.raises(error):
        reply(server, query)
    response = bare(server, query)
    assert (response.rcode(), response.question, response.answer) == (dns.rcode.NOTAUTH, query.question, [])


def test_the_algorithm_belongs_to_the_key(tmp_path: Path) -> None:
    with pytest.raises(dns.tsig.PeerBadKey):
        reply(responder(tmp_path, "hmac-sha512"), signed())


@pytest.mark.parametrize("ahead_s", [301.0, -301.0])
def test_clocks_that_differ_too_much_are_badtime(tmp_path: Path, ahead_s: float) -> None:
    """RFC 8945 section 5.2.3: the response is signed, and has the server's time."""
    with pytest.raises(dns.tsig.PeerBadTime):
        reply(responder(tmp_path, ahead_s=ahead_s), signed())
    assert reply(responder(tmp_path, ahead_s=ahead_s / 2), signed()).rcode() == dns.rcode.NOERROR


def test_a_server_without_keys_knows_no_key() -> None:
    response = AuthoritativeResponder(Authority(Zones([ZONE])))(signed().to_wire(), UDP)
    assert response is not None
    assert dns.message.from_wire(response, keyring=False).rcode() == dns.rcode.NOTAUTH


def test_errors_are_signed_too(tmp_path: Path) -> None:
    server = responder(tmp_path)
    assert reply(server, signed("www.other.")).rcode() == dns.rcode.REFUSED
    update = dns.update.UpdateMessage("example.", keyring=keyring(), keyalgorithm=dns.tsig.HMAC_SHA256)
    update.delete("www", "A")
    update.add("new", 60, "A", "192.0.2.3")
    assert reply(server, update).rcode() == dns.rcode.NOTIMP
    forged = dns.update.UpdateMessage("example.", keyring=keyring(SECRET[4:]), keyalgorithm=dns.tsig.HMAC_SHA256)
    forged.delete("www", "A")
    assert bare(server, forged).rcode() == dns.rcode.NOTAUTH


def test_a_tsig_record_that_is_not_the_last_is_formerr(tmp_path: Path) -> None:
    """RFC 8945 section 5.1."""
    query = signed()
    octets = query.to_wire()
    unsigned = dns.message.make_query("www.example.", "A").to_wire()
    tsig = octets[len(unsigned) :]
    for extra in (tsig + tsig, tsig + bytes.fromhex("00 0001 0001 00000000 0004 c0000201")):
        data = octets[:10] + (2).to_bytes(2, "big") + octets[12 : len(unsigned)] + extra
        response = responder(tmp_path)(data, UDP)
        assert response is not None
        assert dns.message.from_wire(response).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("octets", [9, 15, 33])
def test_a_signature_of_an_invalid_length_is_formerr(tmp_path: Path, octets: int) -> None:
    """RFC 8945 section 5.2.2.1."""
    data = signed().to_wire()
    at = data.rindex(b"\x0bhmac-sha256\0") + 13 + 8
    rdlength = at - 13 - 8 - 2
    mac = (data[at + 2 : at + 34] * 2)[:octets]
    size = int.from_bytes(data[rdlength : rdlength + 2], "big") - 32 + octets
    changed = data[:rdlength] + size.to_bytes(2, "big") + data[rdlength + 2 : at]
    response = responder(tmp_path)(changed + octets.to_bytes(2, "big") + mac + data[at + 34 :], UDP)
    assert response is not None
    assert dns.message.from_wire(response).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no TSIG key"),
        (KEY_FILE.format("hmac-md5.sig-alg.reg.int", SECRET), "hmac-sha256"),
        (KEY_FILE.format("hmac-sha256", "=="), "invalid"),
        ('key "k" { algorithm hmac-sha256; };', "no secret"),
        ('key "k..x" { algorithm hmac-sha256; secret "AA=="; };', "invalid"),
    ],
)
def test_invalid_key_files_are_errors_of_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(ServiceError, match=reason):
        tsig_keys([str(tmp_path / "key")])
    with pytest.raises(ServiceError, match="cannot read"):
        tsig_keys([str(tmp_path / "none")])


def test_a_secret_with_slashes_is_no_comment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text('key k.test { algorithm hmac-sha256; secret "ab//cd//"; };')
    (key,) = tsig_keys([str(tmp_path / "key")]).values()
    assert key.secret == bytes.fromhex("69bfff71dfff")
