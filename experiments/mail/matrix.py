"""Mail interoperability matrix: each mail server with each client, and each pair of mail servers as relays.

Each cell is the result of one operation, decided from packets:

    send        the client submits a message, and the server accepts the message
    relay       the server accepts a submitted message from another server, and delivers the message unaltered
    pop3, imap  the client fetches every message of a mailbox completely
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab7.experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    AGENT_ROLE,
    MTA_ROLE,
    SMTP_PORT,
    SUBMISSION_PORT,
    Implementation,
    of_role,
)
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.matrix import Cell, Column, Matrix, MatrixRun, Place, name_of
from lab7.experiments.harness.measurement import LoadFailedError, Window, capture_at, make_testbed
from lab7.experiments.mail.claims.delivery import why_altered, with_crlf
from lab7.experiments.mail.claims.interop import fetched_by_imap, fetched_by_pop3, relayed, sent
from lab7.experiments.mail.clients import OPERATIONS, Task, run_client, supports
from lab7.experiments.mail.lab import AT_ALICE, AT_BOB, AT_SENDER, BOB, RECEIVER_ADDRESS, SENDER_ADDRESS, Legs
from lab7.experiments.mail.mailboxes import contents_of, fill, generate_messages, send
from lab7.experiments.mail.servers import MailHost, mail_host
from lab7.experiments.mail.wire.imap import imap_traffic
from lab7.experiments.mail.wire.pop3 import pop3_traffic
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import ServerDied

RELAY = "relay"
LEGS = Legs(0.004, 0.01, 0.004, 100.0)
DELIVERY_S, SETTLE_S, POLL_S = 20.0, 0.5, 0.02
Party = Implementation | None
# Type of a running network with the mail servers of Alice's and of Bob's domain.
Lab = tuple[Testbed, MailHost, MailHost]


@cache
def letters() -> tuple[bytes, ...]:
    """Return the messages of the mailbox that clients of POP3 and IMAP read, one of them with an attachment."""
    return generate_messages(3, 3000, seed=7).contents


@cache
def sent_message() -> bytes:
    """Return the message that clients of SMTP send."""
    return generate_messages(2, 10, seed=8).contents[0]


@dataclass(frozen=True)
class MailColumn(Column):
    """Column of the interoperability matrix: a client, and an operation (send, relay, pop3 or imap).

    For `relay` the client is the mail server that relays.
    """

    operation: str


Key = tuple[str, MailColumn]


def parties(role: str) -> list[Party]:
    """Return the implementations of a role, such as mta: None for lab7's own, then all third-party ones."""
    return [None, *of_role(role)]


def columns() -> list[MailColumn]:
    """Return the matrix's columns in order: submitting clients, relaying mail servers, POP3 and IMAP clients."""
    clients = [
        MailColumn(client, operation)
        for operation in OPERATIONS
        for client in parties(AGENT_ROLE)
        if supports(client, operation)
    ]
    return [*clients[: _sending()], *(MailColumn(mta, RELAY) for mta in parties(MTA_ROLE)), *clients[_sending() :]]


def _sending() -> int:
    return sum(supports(client, "send") for client in parties(AGENT_ROLE))


def run(context: MatrixRun) -> list[Cell]:
    """Test all mail servers and clients with each other; return all cells of the interoperability matrix.

    One network is started per pair of mail servers, and one per POP3 and IMAP server.
    """
    names = list(dict.fromkeys(name_of(party) for role in (MTA_ROLE, ACCESS_ROLE) for party in parties(role)))
    found: dict[Key, Cell] = {}
    mtas, mailboxes = parties(MTA_ROLE), parties(ACCESS_ROLE)
    steps = len(mtas) ** 2 + len(mailboxes)
    for number, (mta, peer) in enumerate((one, other) for one in mtas for other in mtas):
        context.step(f"{name_of(mta)} to {name_of(peer)}", number / steps)
        found |= _transfer(context, mta, peer)
    for number, mailbox in enumerate(mailboxes, start=len(mtas) ** 2):
        context.step(f"the mailboxes of {name_of(mailbox)}", number / steps)
        found |= _access(context, mailbox)
    return [found.get((name, each)) or _unsupported(name, each) for name in names for each in columns()]


def _unsupported(name: str, column: MailColumn) -> Cell:
    what = "no mail server" if column.operation in ("send", RELAY) else "no server for mailboxes"
    return _place((name, column)).unsupported(f"{name} is {what} here")


def _place(key: Key) -> Place:
    server, column = key
    return Place(server, column.name, column.operation)


@contextmanager
def _testbed(context: MatrixRun, mta: Party, peer: Party, mailbox: Party) -> Iterator[Lab]:
    """Start the network: the MTA `mta` in Alice's domain, the MTA `peer` and the access server `mailbox` in Bob's."""
    topo = LEGS.topology(backup="no", names="1ms")
    near = mail_host(topo, "mail-a", {MTA_ROLE: mta} if mta else {})
    given = {MTA_ROLE: peer, ACCESS_ROLE: mailbox}
    far = mail_host(topo, "mail-b", {role: one for role, one in given.items() if one is not None})
    with make_testbed(context, topo, {"mail-a": near.start, "mail-b": far.start}) as bed:
        yield bed, near, far


def _transfer(context: MatrixRun, mta: Party, peer: Party) -> dict[Key, Cell]:
    """Run the tests of two mail servers, and return the resulting cells.

    One cell is for relaying from `mta` to `peer`; if both are the same program, there is also a cell for each
    submitting client.
    """
    relay = name_of(peer), MailColumn(mta, RELAY)
    sending = [each for each in columns() if each.operation == "send"] if name_of(mta) == name_of(peer) else []
    keys = [relay, *((name_of(mta), each) for each in sending)]
    if (missing := next((one for one in (mta, peer) if one is not None and not one.installed()), None)) is not None:
        return {key: _place(key).not_installed(missing) for key in keys}
    name = f"{name_of(mta)}-to-{name_of(peer)}.pcapng"
    windows: dict[MailColumn, Window | str] = {}
    try:
        with (
            _testbed(context, mta, peer, None) as (bed, near, far),
            capture_at(bed, context.folder / name, ["alice", "mail-a"]),
        ):
            path = bed.host("alice").workdir / "letter"
            path.write_bytes(sent_message())
            windows = _send_all(bed, near, sending, path)
            send(bed.host("alice"), near, "alice", BOB, path)
            _wait_for_delivery(far)
            # Wait for the reply to the mail data, which Exim sends together with the reply to a pipelined QUIT.
            time.sleep(SETTLE_S)
            delivered = contents_of(far, "bob")
    except (EmulationError, LoadFailedError, ServerDied) as error:
        return {key: _place(key).failed(str(error)) for key in keys}
    captured = read_capture(context.folder / name)
    there = smtp_traffic(captured, AT_SENDER, [SMTP_PORT]).to(RECEIVER_ADDRESS)
    cells = {relay: _place(relay).judged(relayed("cell", there, sent_message(), BOB, delivered), name, _known(relay))}
    for each in sending:
        key = name_of(mta), each
        cells[key] = _of_window(key, windows.get(each), captured, name)
    return cells


def _wait_for_delivery(server: MailHost) -> None:
    """Wait at most DELIVERY_S until the message is in Bob's mailbox unaltered; raise no error if it does not arrive."""
    deadline_s = time.monotonic() + DELIVERY_S
    while time.monotonic() < deadline_s:
        if any(why_altered(sent_message(), with_crlf(one)) is None for one in contents_of(server, "bob")):
            return
        time.sleep(POLL_S)


def _send_all(
    bed: Testbed, near: MailHost, sending: Sequence[MailColumn], path: Path
) -> dict[MailColumn, Window | str]:
    """Submit a message with each installed client; return its time span, or its error text, keyed by column."""
    task = Task("send", near, "alice", recipient=BOB, message=path)
    there = [each for each in sending if each.installed]
    return {each: _attempt(bed, "alice", each, task) for each in there}


def _attempt(bed: Testbed, host: str, column: MailColumn, task: Task) -> Window | str:
    try:
        return run_client(bed.host(host), column.client, task)
    except (LoadFailedError, EmulationError) as error:
        return str(error)


def _access(context: MatrixRun, mailbox: Party) -> dict[Key, Cell]:
    """Run the tests of a POP3 and IMAP server, and return a cell for each client that fetches the mailbox."""
    reading = [each for each in columns() if each.operation in ("pop3", "imap")]
    keys, name = (
        [(name_of(mailbox), each) for each in reading],
        f"mailbox-{name_of(mailbox)}.pcapng",
    )
    if mailbox is not None and not mailbox.installed():
        return {key: _place(key).not_installed(mailbox) for key in keys}
    try:
        with (
            _testbed(context, None, None, mailbox) as (bed, _, far),
            capture_at(bed, context.folder / name, ["bob"]),
        ):
            fill(far, "bob", letters())
            windows = {
                each: _attempt(bed, "bob", each, Task(each.operation, far, "bob", count=len(letters())))
                for each in reading
                if each.installed
            }
    except (EmulationError, ServerDied) as error:
        return {key: _place(key).failed(str(error)) for key in keys}
    captured = read_capture(context.folder / name)
    return {key: _of_window(key, windows.get(key[1]), captured, name) for key in keys}


def _of_window(key: Key, window: Window | str | None, captured: CaptureFile, capture: str) -> Cell:
    """Return the matrix cell for a client's session, from the packets in the session's time span.

    `window`: the time span, an error text, or None.
    """
    if window is None:
        assert key[1].client is not None
        return _place(key).not_installed(key[1].client)
    if isinstance(window, str):
        return _place(key).failed(window, capture, _known(key))
    return _place(key).judged(_verdict(key[1].operation, captured, window), capture, _known(key))


def _verdict(operation: str, captured: CaptureFile, window: Window) -> Verdict:
    start_ns, end_ns = window.start_ns, window.end_ns
    if operation == "send":
        traffic = smtp_traffic(captured, AT_ALICE, [SUBMISSION_PORT]).to(SENDER_ADDRESS)
        return sent("cell", traffic.between(start_ns, end_ns), sent_message(), BOB)
    if operation == "pop3":
        return fetched_by_pop3("cell", pop3_traffic(captured, AT_BOB).between(start_ns, end_ns), letters())
    return fetched_by_imap("cell", imap_traffic(captured, AT_BOB).between(start_ns, end_ns), letters())


def _known(key: Key) -> str | None:
    """Return the known cause of a client's failure in an operation, as recorded in lab7; None if there is none."""
    client = key[1].client
    return client.known.get(key[1].operation) if client is not None else None


MATRIX = Matrix(
    "mail", "Does every mail client work with every mail server, and does every server relay to every other?", run
)
