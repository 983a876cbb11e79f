"""The fuzzed services: how each is started, what mutations know of its protocol, and an honest client of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.framing import change_dns, change_frames, change_message
from tests.fuzz.mutation import Dialect
from tests.fuzz.peers import PEER_HOST, ROOT_HOST
from tests.loopback import clients
from tests.loopback.mail.webmail import Visitor

CORPUS = Path(__file__).resolve().parent / "corpus"
WORDS = CORPUS.parent / "words"
# The fuzzed user has a mailbox with a quota and a home: those of the honest client stay as they are.
ACCOUNTS = "alice:secret\neve:secret:2000000\nfull:secret:10\nlist: alice, eve\ngone -> x@example.net\n"

SMTP_REPLY = re.compile(rb"(?:^|\n)\d{3} [^\n]*\n\Z")
POP3_REPLY = re.compile(rb"(?:^(?:\+OK|-ERR)[^\n]*\r\n|\r\n\.\r\n)\Z")
IMAP_REPLY = re.compile(rb"(?:^|\n)(?:\+|\w+ (?:OK|NO|BAD))[^\n]*\n\Z")


def words(*names: str) -> tuple[bytes, ...]:
    """Return the words of the lists of these names, one a line."""
    return tuple(word for name in names for word in (WORDS / f"{name}.txt").read_bytes().splitlines())


def _log_in(port: int) -> dict[bytes, bytes]:
    """Log in to webmail; return the session's cookie and form token, and the UIDVALIDITY and some UIDs of the inbox."""
    visitor = Visitor(port)
    visitor.log_in("eve", "secret")
    html = visitor.get("/folder?name=INBOX").body
    token, validity = re.search(rb'name="form_token" value="([^"]*)', html), re.search(rb'name="v" value="(\d+)', html)
    uids = re.findall(rb'name="uid" value="(\d+)', html)[:3]
    return {
        b"%cookie%": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items()).encode(),
        b"%token%": token[1] if token else b"",
        b"%port%": b"%d" % port,
        b"%v%": validity[1] if validity else b"1",
        **{b"%%u%d%%" % (number + 1): uid for number, uid in enumerate(uids)},
    }


def _no_values(_: int) -> dict[bytes, bytes]:
    return {}


@dataclass(frozen=True)
class Fuzzed:
    """A service under the fuzzer.

    command  of the service, with {peer} for the port of the peer behind it
    ask      an honest client, which raises where it is not served
    corpora  folders of its corpus, the sessions of which are mutated with each other
    peer     kind of the peer behind it, None for none
    values   values of more names in the steps, taken anew for every batch
    """

    command: str
    ask: Callable[[int], None]
    dialect: Dialect
    corpora: Sequence[str]
    reply_end: re.Pattern[bytes] | None = None
    peer: str | None = None
    values: Callable[[int], Mapping[bytes, bytes]] = _no_values
    # Sessions go to the last port of the line READY, where the service has another one for them.
    to_last_port: bool = False


_RESOLVER = (
    f"lab7.services.dns.resolver --root ns.root={ROOT_HOST} --upstream-port {{peer}} --may-query 127.0.0.0/8 --no-ipv6"
)
_DNS = Dialect((), change_dns, change_message)
FUZZED: dict[str, Fuzzed] = {
    "origin": Fuzzed(f"{clients.ORIGIN} --echo /echo", clients.ask_http, Dialect(words("http")), ["http1"]),
    "http2": Fuzzed(
        f"{clients.ORIGIN} --echo /echo --push", clients.ask_http2, Dialect(words("http"), change_frames), ["http2"]
    ),
    "proxy": Fuzzed(
        "lab7.services.http.proxy --status /status --origin http://127.77.0.1:{peer} --disk cache",
        clients.ask_proxy,
        Dialect(words("http")),
        ["proxy"],
        peer="origin",
    ),
    "authoritative": Fuzzed(
        f"{clients.AUTHORITATIVE} --sign-seed x --allow-transfer 127.0.0.0/8", clients.ask_dns, _DNS, ["dns"]
    ),
    "cdn": Fuzzed("lab7.services.dns.cdn --zone example.com=own.zone --map regions", clients.ask_dns, _DNS, ["dns"]),
    "resolver": Fuzzed(_RESOLVER, clients.ask_dns, _DNS, ["resolver"], peer="names"),
    "ftp": Fuzzed(
        f"{clients.FTP} --user eve:secret:../eve --connect-timeout 2 --stall-timeout 2",
        clients.ask_ftp,
        Dialect(words("ftp")),
        ["ftp"],
        SMTP_REPLY,
    ),
    "mta": Fuzzed(
        f"{clients.MTA} --tls --auth-in-clear --relay-from 127.0.0.0/8 --smarthost {PEER_HOST}:{{peer}} "
        "--retry 1,2 --expire 5 --hostname mx.example.com",
        clients.ask_smtp,
        Dialect(words("smtp")),
        ["smtp"],
        SMTP_REPLY,
        "exchanger",
    ),
    "submission": Fuzzed(
        f"{clients.MTA} --submission-port 0 --tls --auth-in-clear --smarthost {PEER_HOST}:{{peer}} "
        "--retry 1,2 --expire 5",
        clients.ask_smtp,
        Dialect(words("smtp")),
        ["smtp", "submission"],
        SMTP_REPLY,
        "exchanger",
        to_last_port=True,
    ),
    "pop3": Fuzzed(
        f"lab7.services.mail.pop3 {clients.MAILBOXES} --tls",
        clients.ask_pop3,
        Dialect(words("pop3")),
        ["pop3"],
        POP3_REPLY,
    ),
    "imap": Fuzzed(
        f"lab7.services.mail.imap {clients.MAILBOXES} --tls",
        clients.ask_imap,
        Dialect(words("imap")),
        ["imap"],
        IMAP_REPLY,
    ),
    "webmail": Fuzzed(
        f"lab7.services.mail.webmail {clients.MAILBOXES} --submission 127.0.0.1:9",
        clients.ask_webmail,
        Dialect(words("http", "webmail")),
        ["webmail"],
        values=_log_in,
    ),
}
