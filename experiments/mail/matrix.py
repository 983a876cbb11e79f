"""Does every mail client work with every mail server, and do servers pass mail on to each other?

Three kinds of cells, each judged from packets. send: the client hands a message in at the server, which takes it over.
relay: the server takes a message over from another one, to which it was handed in, and delivers it unaltered. pop3 and
imap: the client fetches all messages of a mailbox, and each is handed out whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    AGENT_ROLE,
    MTA_ROLE,
    SMTP_PORT,
    SUBMISSION_PORT,
    Implementation,
    of_role,
)
from experiments.harness.judge.frames import CaptureFile, read_capture
from experiments.harness.judge.verdict import Verdict
from experiments.harness.matrix import Cell, CellWord, Matrix, MatrixRun
from experiments.harness.measurement import LoadFailedError, Window, capture_at
from experiments.mail.claims.delivery import why_altered, with_crlf
from experiments.mail.claims.interop import fetched_by_imap, fetched_by_pop3, relayed, sent
from experiments.mail.clients import DEEDS, OURS, Errand, able, run_client
from experiments.mail.lab import AT_ALICE, AT_BOB, AT_SENDER, BOB, RECEIVER_ADDRESS, SENDER_ADDRESS, Legs
from experiments.mail.mailboxes import contents_of, fill, letters, send
from experiments.mail.servers import MailHost, mail_host
from experiments.mail.wire.imap import imap_traffic
from experiments.mail.wire.pop3 import pop3_traffic
from experiments.mail.wire.smtp import smtp_traffic
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed
from topologies.emulation.watch import ServerDied

WORDS: Mapping[str, CellWord] = {"shown": "pass", "failed": "fail", "undecided": "fail"}
RELAY = "relay"
LEGS = Legs(0.004, 0.01, 0.004, 100.0)
# In the mailbox: plain messages, and one with a file.
LETTERS = letters(3, 3000, seed=7)
MESSAGE = letters(2, 10, seed=8).contents[0]
DELIVERY_S, SETTLE_S, POLL_S = 20.0, 0.5, 0.02
Key = tuple[str, "Column"]
Party = Implementation | None
# A running network, and the mail servers of Alice's domain and of Bob's.
Lab = tuple[Testbed, MailHost, MailHost]


@dataclass(frozen=True)
class Column:
    """One client and what it does; for `relay` the client is the mail server that passes mail on. None: lab7's own."""

    client: Party
    deed: str

    @property
    def name(self) -> str:
        """What it is called."""
        return _name(self.client)


def _name(party: Party) -> str:
    return OURS if party is None else party.name


def parties(role: str) -> list[Party]:
    """lab7's own and all of the registry for a role."""
    return [None, *of_role(role)]


def columns() -> list[Column]:
    """Every client with all that it can do, and every mail server as one that passes on."""
    clients = [Column(client, deed) for deed in DEEDS for client in parties(AGENT_ROLE) if able(client, deed)]
    return [*clients[: _sending()], *(Column(mta, RELAY) for mta in parties(MTA_ROLE)), *clients[_sending() :]]


def _sending() -> int:
    return sum(able(client, "send") for client in parties(AGENT_ROLE))


def run(context: MatrixRun) -> list[Cell]:
    """Fill the matrix, a server at a time."""
    names = list(dict.fromkeys(_name(party) for role in (MTA_ROLE, ACCESS_ROLE) for party in parties(role)))
    found: dict[Key, Cell] = {}
    mtas, mailboxes = parties(MTA_ROLE), parties(ACCESS_ROLE)
    steps = len(mtas) ** 2 + len(mailboxes)
    for number, (mta, peer) in enumerate((one, other) for one in mtas for other in mtas):
        context.step(f"{_name(mta)} to {_name(peer)}", number / steps)
        found |= _transfer(context, mta, peer)
    for number, mailbox in enumerate(mailboxes, start=len(mtas) ** 2):
        context.step(f"the mailboxes of {_name(mailbox)}", number / steps)
        found |= _access(context, mailbox)
    return [found.get((name, each)) or _unsupported(name, each) for name in names for each in columns()]


def _unsupported(name: str, column: Column) -> Cell:
    what = "no mail server" if column.deed in ("send", RELAY) else "no server for mailboxes"
    return Cell(name, column.name, column.deed, "unsupported", f"{name} is {what} here")


@contextmanager
def _testbed(context: MatrixRun, mta: Party, peer: Party, mailbox: Party) -> Iterator[Lab]:
    """The topology mail with these servers: mta at Alice's, peer and mailbox at Bob's."""
    topo = LEGS.topology(backup="no", names="1ms")
    near = mail_host(topo, "mail-a", {MTA_ROLE: mta} if mta else {})
    given = {MTA_ROLE: peer, ACCESS_ROLE: mailbox}
    far = mail_host(topo, "mail-b", {role: one for role, one in given.items() if one is not None})
    starters = {"mail-a": near.start, "mail-b": far.start}
    with Testbed(topo, links=context.links, sandboxed=context.sandboxed, starters=starters) as bed:
        yield bed, near, far


def _transfer(context: MatrixRun, mta: Party, peer: Party) -> dict[Key, Cell]:
    """One server passes a message on to another; where it is to itself every client sends by it as well."""
    relay = _name(peer), Column(mta, RELAY)
    sending = [each for each in columns() if each.deed == "send"] if _name(mta) == _name(peer) else []
    keys = [relay, *((_name(mta), each) for each in sending)]
    if (missing := next((one for one in (mta, peer) if one is not None and not one.installed()), None)) is not None:
        return {key: _missing(key, missing) for key in keys}
    name = f"{_name(mta)}-to-{_name(peer)}.pcapng"
    windows: dict[Column, Window | str] = {}
    try:
        with (
            _testbed(context, mta, peer, None) as (bed, near, far),
            capture_at(bed, context.folder / name, ["alice", "mail-a"]),
        ):
            path = bed.host("alice").workdir / "letter"
            path.write_bytes(MESSAGE)
            windows = _send_all(bed, near, sending, path)
            send(bed.host("alice"), near, "alice", BOB, path)
            _wait_for_delivery(far)
            # The reply may still be on its way: Exim sends it with that to QUIT where QUIT came along.
            time.sleep(SETTLE_S)
            delivered = contents_of(far, "bob")
    except (EmulationError, LoadFailedError, ServerDied) as error:
        return {key: _failed(key, str(error), None) for key in keys}
    captured = read_capture(context.folder / name)
    there = smtp_traffic(captured, AT_SENDER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    cells = {relay: _judged(relay, relayed("cell", there, MESSAGE, BOB, delivered), name)}
    for each in sending:
        key = _name(mta), each
        cells[key] = _of_window(key, windows.get(each), captured, name)
    return cells


def _wait_for_delivery(server: MailHost) -> None:
    """Wait until the message is in the mailbox unaltered; what does not come in time is for the judge to find."""
    deadline_s = time.monotonic() + DELIVERY_S
    while time.monotonic() < deadline_s:
        if any(why_altered(MESSAGE, with_crlf(one)) is None for one in contents_of(server, "bob")):
            return
        time.sleep(POLL_S)


def _send_all(bed: Testbed, near: MailHost, sending: Sequence[Column], path: Path) -> dict[Column, Window | str]:
    """Have every client send; when that was, or why it failed."""
    errand = Errand("send", near, "alice", recipient=BOB, message=path)
    there = [each for each in sending if each.client is None or each.client.installed()]
    return {each: _attempt(bed, "alice", each, errand) for each in there}


def _attempt(bed: Testbed, host: str, column: Column, errand: Errand) -> Window | str:
    try:
        return run_client(bed.host(host), column.client, errand)
    except (LoadFailedError, EmulationError) as error:
        return str(error)


def _access(context: MatrixRun, mailbox: Party) -> dict[Key, Cell]:
    """Every client fetches all messages of a mailbox."""
    reading = [each for each in columns() if each.deed in ("pop3", "imap")]
    keys, name = [(_name(mailbox), each) for each in reading], f"mailbox-{_name(mailbox)}.pcapng"
    if mailbox is not None and not mailbox.installed():
        return {key: _missing(key, mailbox) for key in keys}
    try:
        with (
            _testbed(context, None, None, mailbox) as (bed, _, far),
            capture_at(bed, context.folder / name, ["bob"]),
        ):
            fill(far, "bob", LETTERS.contents)
            windows = {
                each: _attempt(bed, "bob", each, Errand(each.deed, far, "bob", count=len(LETTERS.contents)))
                for each in reading
                if each.client is None or each.client.installed()
            }
    except (EmulationError, ServerDied) as error:
        return {key: _failed(key, str(error), None) for key in keys}
    captured = read_capture(context.folder / name)
    return {key: _of_window(key, windows.get(key[1]), captured, name) for key in keys}


def _of_window(key: Key, window: Window | str | None, captured: CaptureFile, capture: str) -> Cell:
    """The cell of a client's session, from its packets."""
    if window is None:
        assert key[1].client is not None
        return _missing(key, key[1].client)
    if isinstance(window, str):
        return _failed(key, window, capture)
    return _judged(key, _verdict(key[1].deed, captured, window), capture)


def _verdict(deed: str, captured: CaptureFile, window: Window) -> Verdict:
    start_ns, end_ns = window.start_ns, window.end_ns
    if deed == "send":
        traffic = smtp_traffic(captured, AT_ALICE, [SUBMISSION_PORT]).to(SENDER_ADDRESS)
        return sent("cell", traffic.between(start_ns, end_ns), MESSAGE, BOB)
    if deed == "pop3":
        return fetched_by_pop3("cell", pop3_traffic(captured, AT_BOB).between(start_ns, end_ns), LETTERS.contents)
    return fetched_by_imap("cell", imap_traffic(captured, AT_BOB).between(start_ns, end_ns), LETTERS.contents)


def _missing(key: Key, party: Implementation) -> Cell:
    return Cell(key[0], key[1].name, key[1].deed, "not installed", party.how_to_get())


def _failed(key: Key, why: str, capture: str | None) -> Cell:
    return Cell(key[0], key[1].name, key[1].deed, "fail", why, (), capture, _known(key))


def _judged(key: Key, found: Verdict, capture: str) -> Cell:
    word = WORDS[found.verdict]
    cause = _known(key) if word == "fail" else None
    return Cell(key[0], key[1].name, key[1].deed, word, found.evidence, found.frames, capture, cause)


def _known(key: Key) -> str | None:
    """Why a client fails at this, where that has been found out."""
    client = key[1].client
    return client.known.get(key[1].deed) if client is not None else None


MATRIX = Matrix(
    "mail", "Does every mail client work with every mail server, and do servers pass mail on to each other?", run
)
