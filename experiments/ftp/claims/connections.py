"""Verdicts on claims F1, F2, F3, F6, F7 of the course: FTP control and data connections, commands, active/passive mode.

    F1  the control connection to port 21 stays open for the whole session
    F2  each transfer has a separate data connection
    F3  commands are lines of ASCII text
    F6  in active mode the client announces a port, and the server connects to it
    F7  in passive mode the server announces a port, and the client connects to it

The functions take the captured FTP sessions (see `wire.sessions`) and return a Verdict. The capture must be taken at
the client. A claim is undecided if the capture dropped packets, has a gap, or lacks the traffic in question.

Source: RFC 959 sections 2.3, 3.2, 3.3 and 5.3, and RFC 2428 for EPRT and EPSV.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lab7.experiments.ftp.wire.sessions import (
    CONTROL_PORT,
    DATA_PORT,
    FtpSession,
    FtpTraffic,
    Mode,
    Transfer,
)
from lab7.experiments.harness.judge.frames import Connection, Direction, Mark
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    decide,
    decides,
    failed,
    in_frames,
    insufficiency,
    undecided,
)

NAMED_VERBS = ("USER", "PASS", "LIST", "RETR", "STOR")
# Reply codes that refuse an unknown or unimplemented command or parameter (RFC 959 section 4.2).
NOT_IMPLEMENTED = (500, 502, 504)
# Operation of an FTP client: LIST a directory, RETR files, or STOR files.
What = Literal["list", "get", "put"]
VERBS: Mapping[str, tuple[str, ...]] = {
    "list": ("LIST", "NLST", "MLSD"),
    "get": ("RETR",),
    "put": ("STOR", "STOU", "APPE"),
}
# LONG_LINE matches a line of `ls -l`: type and rights, links, owner, group, size, three words of a date, name.
LONG_LINE = re.compile(r"[-dlbcps][-rwxsStT]{9}[+.@]?\s+\d+\s+\S+\s+\S+\s+(?P<size>\d+)\s+\S+\s+\S+\s+\S+ (?P<name>.+)")
# FACTS_LINE matches a line of MLSD (RFC 3659 section 7.2): facts ended by semicolons, a space, and the name.
FACTS_LINE = re.compile(r"(?P<facts>(?:[A-Za-z.-]+=[^;]*;)+) (?P<name>.+)")
# A file's first SAMPLE_OCTETS octets are searched for on the control connection; skip shorter files.
SAMPLE_OCTETS = 32


@decides("F1")
def decide_control_connection(claim: str, traffic: Sequence[FtpTraffic]) -> Verdict:
    """Decide claim F1: the control connection (server port 21) stays open longer than all data connections."""

    without = sum(not one.sessions for one in traffic)
    if 0 < without < len(traffic) and not any(one.dropped for one in traffic):
        return failed(claim, f"{without} of {len(traffic)} sessions have no control connection to port {CONTROL_PORT}.")

    def check() -> Finding:
        for one in traffic:
            if len(one.sessions) != 1:
                frame = one.sessions[0].connection.syn.frame
                raise Contradiction(f"1 session has {len(one.sessions)} control connections.", frame)
        sessions = [one.sessions[0] for one in traffic]
        if not any(
            transfer.connection is not None and transfer.connection.established
            for each in traffic
            for transfer in each.transfers
        ):
            frame = sessions[0].connection.syn.frame
            raise Contradiction("No session has a data connection, so that the lifetimes cannot be compared.", frame)
        ends = [_stays(session) for session in sessions]
        first = sessions[0]
        return (
            f"Each of {len(sessions)} sessions has one connection from the client to port {CONTROL_PORT}, "
            "which carries all commands and is open longer than all data connections: the first one is "
            f"opened in frame {first.connection.syn.frame} and closed in frame {ends[0]}, with "
            f"{len(first.transfers)} transfers in between."
        ), [first.connection.syn.frame, ends[0]]

    return decide(claim, traffic, check)


@dataclass(frozen=True)
class Assignment:
    """Task of an FTP client, such as to get the files `names`, and the captured traffic of its session.

    `folder` are the names in the user's folder at that time; a listing must have all of them.
    """

    traffic: FtpTraffic
    what: What
    names: Sequence[str] = ()
    folder: Collection[str] = ()


@decides("F2")
def decide_data_connections(
    claim: str, traffic: FtpTraffic, files: Mapping[str, bytes], assignments: Sequence[Assignment] = ()
) -> Verdict:
    """Decide claim F2: each transfer has a separate data connection, which carries only the transferred data.

    `files` has the correct contents by name, for downloads and uploads; transfers of other names are not compared. Each
    task in `assignments` must be completed, and each listing must have exactly the names in the folder.
    """
    done = [transfer for transfer in traffic.transfers if transfer.done]
    if insufficiency([traffic]) is None and len(done) < 2 and not assignments:
        return undecided(claim, f"At least two transfers are needed to see separate connections, not {len(done)}.")

    def check() -> Finding:
        for assignment in assignments:
            _carried_out(assignment, files)
        frames = [_own_connection(transfer, files) for transfer in done]
        used = {id(transfer.connection) for transfer in done}
        if len(used) != len(done):
            raise Contradiction(f"{len(done)} transfers use {len(used)} data connections.", *frames)
        for session in traffic.sessions:
            _out_of_band(session, files)
        for one in (*traffic.others, *(spare for session in traffic.sessions for spare in session.spare)):
            if one.established and _between_the_same(one, traffic):
                raise Contradiction(
                    f"The connection opened in frame {one.syn.frame} carries no transfer.", one.syn.frame
                )
        whole = sum(1 for transfer in done if transfer.base_name in files)
        listings = sum(1 for one in assignments if one.what == "list")
        beside = f", {listings} listings of the folder" if listings else ""
        return (
            f"{len(done)} transfers use {len(done)} separate data connections (SYNs in "
            f"{in_frames(frames)}), {whole} of them for files that arrive unaltered{beside}; the control "
            "connection carries none of their octets."
        ), frames

    return decide(claim, [traffic], check)


@decides("F3")
def decide_command_lines(claim: str, traffic: FtpTraffic) -> Verdict:
    """Decide claim F3: commands are lines of ASCII text; the server accepts USER, PASS, LIST, RETR and STOR."""
    said = [exchange.command for session in traffic.sessions for exchange in session.exchanges]
    missing = [verb for verb in NAMED_VERBS if all(one.verb != verb for one in said)]
    taken = {
        exchange.command.verb
        for session in traffic.sessions
        for exchange in session.exchanges
        if 0 < exchange.code < 400
    }
    if insufficiency([traffic]) is None and all(one.problem is None for one in traffic.sessions) and missing:
        return undecided(claim, f"The capture has no {', '.join(missing)} command.")

    def check() -> Finding:
        for one in said:
            if not one.octets.isascii():
                raise Contradiction(f"{one.verb} in frame {one.frame} has octets above 127.", one.frame)
        first = {verb: next(one for one in said if one.verb == verb) for verb in NAMED_VERBS}
        for verb, one in first.items():
            # Require that the server accepts each of these commands at least once.
            if verb not in taken:
                raise Contradiction(f"The server does not accept {verb} (first in frame {one.frame}).", one.frame)
        where = ", ".join(f"{verb} in frame {one.frame}" for verb, one in first.items())
        return (f"{len(said)} commands consist of a verb, an optional argument and CRLF, all in ASCII: {where}."), [
            one.frame for one in first.values()
        ]

    return decide(claim, [traffic], check)


@decides("F6")
def decide_active_mode(claim: str, traffic: FtpTraffic) -> Verdict:
    """Decide claim F6: for each transfer the client announces a port, and the server connects to it from port 20."""

    def syn(transfer: Transfer, session: FtpSession) -> None:
        connection = _opened(transfer, "active")
        if connection.client.address != session.connection.server.address or connection.client.port != DATA_PORT:
            frame = connection.syn.frame
            raise Contradiction(f"The SYN in frame {frame} comes from {connection.client}, not from port 20.", frame)
        if connection.server.address != session.connection.client.address:
            frame = connection.syn.frame
            raise Contradiction(f"The SYN in frame {frame} goes to {connection.server}, not to the client.", frame)

    return _mode(
        claim, traffic, "active", syn, "the client announces a port and the server connects to it from port 20"
    )


@decides("F7")
def decide_passive_mode(claim: str, traffic: FtpTraffic) -> Verdict:
    """Decide claim F7: for each transfer the server announces a port, and the client connects to it."""

    def syn(transfer: Transfer, session: FtpSession) -> None:
        connection = _opened(transfer, "passive")
        if connection.client.address != session.connection.client.address:
            frame = connection.syn.frame
            raise Contradiction(f"The SYN in frame {frame} comes from {connection.client}, not the client.", frame)
        if connection.server.address != session.connection.server.address:
            frame = connection.syn.frame
            raise Contradiction(f"The SYN in frame {frame} goes to {connection.server}, not to the server.", frame)

    return _mode(claim, traffic, "passive", syn, "the server announces a port and the client connects to it")


def _mode(
    claim_id: str, traffic: FtpTraffic, mode: Mode, syn: Callable[[Transfer, FtpSession], None], what: str
) -> Verdict:
    every = [(one, session) for session in traffic.sessions for one in session.transfers]
    # Leave out transfer commands that the server does not implement, such as MLSD, which a client may try first.
    pairs = [(one, session) for one, session in every if one.exchange.code not in NOT_IMPLEMENTED]
    if insufficiency([traffic]) is None and not pairs and all(one.problem is None for one in traffic.sessions):
        return undecided(claim_id, f"No transfer uses {mode} mode.")

    def check() -> Finding:
        for transfer, session in pairs:
            syn(transfer, session)
            if not transfer.done:
                frame = transfer.exchange.command.frame
                raise Contradiction(f"The transfer fails: {transfer.exchange.described} in frame {frame}.", frame)
        first = pairs[0][0]
        assert first.announced is not None
        assert first.connection is not None
        said = first.announced.exchange
        told = said.command if mode == "active" else said.final
        assert told is not None
        return (
            f"{len(pairs)} transfers, in each of which {what}: the first by {told.text!r} in frame "
            f"{told.frame} and the SYN from {first.connection.client} to {first.connection.server} in frame "
            f"{first.connection.syn.frame}."
        ), [told.frame, first.connection.syn.frame]

    return decide(claim_id, [traffic], check)


def _opened(transfer: Transfer, mode: Mode) -> Connection:
    """Return the established data connection of a transfer in this mode; raise Contradiction if there is none."""
    command = transfer.exchange.command
    if transfer.announced is None or transfer.announced.mode != mode:
        raise Contradiction(
            f"The transfer {command.text!r} in frame {command.frame} does not use {mode} mode.", command.frame
        )
    if transfer.connection is None or not transfer.connection.established:
        raise Contradiction(
            f"The transfer {command.text!r} in frame {command.frame} has no data connection.", command.frame
        )
    return transfer.connection


def _stays(session: FtpSession) -> int:
    """Return the number of the frame that closes the control connection.

    Raises Contradiction if a data connection opens before the control connection, or ends after it.
    """
    control, syn = session.connection, session.connection.syn
    if not control.established:
        raise Contradiction(f"The connection of frame {syn.frame} to {control.server} was not established.", syn.frame)
    closings = _closings(control.from_client, control.from_server)
    if not closings:
        raise Contradiction(f"The control connection of frame {syn.frame} was never closed.", syn.frame)
    end = min(closings, key=lambda mark: mark.frame)
    for connection in session.connections[1:]:
        last = max(
            [
                connection.syn.frame,
                *(piece.frame for way in (connection.from_client, connection.from_server) for piece in way.segments),
            ]
        )
        if not syn.frame < connection.syn.frame or not last < end.frame:
            raise Contradiction(
                f"The control connection is open from frame {syn.frame} to {end.frame}, but a data connection "
                f"from frame {connection.syn.frame} to {last}.",
                syn.frame,
                end.frame,
            )
    return end.frame


def _closings(*ways: Direction) -> list[Mark]:
    return [mark for way in ways for mark in (way.fin, way.reset) if mark is not None]


def _own_connection(transfer: Transfer, files: Mapping[str, bytes]) -> int:
    """Return the frame number of the SYN of a transfer's own data connection.

    Raises Contradiction if there is no data connection, or if it does not carry the file's octets.
    """
    command = transfer.exchange.command
    if transfer.connection is None or not transfer.connection.established:
        raise Contradiction(
            f"The transfer {command.text!r} in frame {command.frame} has no data connection.", command.frame
        )
    expected = files.get(transfer.base_name)
    got = transfer.stream.data
    if expected is not None and got != expected:
        frame = transfer.connection.syn.frame
        raise Contradiction(
            f"The data connection of frame {frame} carries {len(got)} octets (SHA-256 {_digest(got)}), but "
            f"{transfer.name} has {len(expected)} ({_digest(expected)}).",
            frame,
        )
    return transfer.connection.syn.frame


def _carried_out(assignment: Assignment, files: Mapping[str, bytes]) -> None:
    """Raise Contradiction unless the client has completed its task: all files transferred, and listings complete."""
    traffic, what = assignment.traffic, assignment.what
    done = [transfer for transfer in traffic.transfers if transfer.verb in VERBS[what] and transfer.done]
    frame = traffic.sessions[0].connection.syn.frame if traffic.sessions else 0
    names = {transfer.base_name for transfer in done}
    missing = [name for name in assignment.names if name not in names]
    if missing or not done:
        lacking = f" of {', '.join(missing)}" if missing else ""
        raise Contradiction(
            f"The session of frame {frame} has no successful {' or '.join(VERBS[what])}{lacking}.",
            *([frame] if frame else []),
        )
    if what == "list":
        for transfer in done:
            is_listing(transfer, assignment.folder, {name: len(octets) for name, octets in files.items()})


def is_listing(transfer: Transfer, folder: Collection[str], sizes: Mapping[str, int]) -> None:
    """Raise Contradiction unless a listing has one line for each name in `folder`, and no other line.

    `sizes` are the correct sizes in octets, compared with those lines that have a size. RFC 959 section 4.1.3 does not
    specify the format of LIST. Accepted are the format of `ls -l`, which is common, names alone (NLST), and facts
    (MLSD, RFC 3659).
    """
    frame = transfer.exchange.command.frame
    entries = [_entry(line) for line in transfer.stream.data.decode(errors="replace").splitlines()]
    found = {name: size for name, size in (entry for entry in entries if entry is not None) if name not in (".", "..")}
    for name in folder:
        if name not in found:
            raise Contradiction(f"The listing requested in frame {frame} lacks {name}.", frame)
        size, said = sizes.get(name), found[name]
        if size is not None and said is not None and size != said:
            raise Contradiction(
                f"The listing requested in frame {frame} reports {said} octets for {name}, not {size}.", frame
            )
    strange = [name for name in found if name not in folder]
    if strange:
        raise Contradiction(
            f"The listing requested in frame {frame} has {strange[0]!r}, which is not in the directory.", frame
        )


def _entry(line: str) -> tuple[str, int | None] | None:
    """Parse a line of a listing to (name, size in octets or None); return None for an empty line or a total."""
    if not line.strip() or re.fullmatch(r"total \d+", line):
        return None
    if (long := LONG_LINE.fullmatch(line)) is not None:
        is_file = line.startswith("-")
        return long["name"].partition(" -> ")[0] if line.startswith("l") else long["name"], (
            int(long["size"]) if is_file else None
        )
    if (facts := FACTS_LINE.fullmatch(line)) is not None:
        size = re.search(r"(?i)(?:^|;)size=(\d+);", facts["facts"])
        is_file = re.search(r"(?i)(?:^|;)type=(?!file;)", facts["facts"]) is None
        name = "." if re.search(r"(?i)(?:^|;)type=[cp]dir;", facts["facts"]) else facts["name"]
        return name, int(size[1]) if size and is_file else None
    return line.removeprefix("./").removeprefix("/").rstrip("/"), None


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()[:12]


def _out_of_band(session: FtpSession, files: Mapping[str, bytes]) -> None:
    """Raise Contradiction if the control connection carries the first octets of a transferred file."""
    for way in (session.connection.from_client, session.connection.from_server):
        for name, octets in files.items():
            if len(octets) >= SAMPLE_OCTETS and octets[:SAMPLE_OCTETS] in way.stream.data:
                frame = session.connection.syn.frame
                raise Contradiction(f"The control connection of frame {frame} carries the octets of {name}.", frame)


def _between_the_same(connection: Connection, traffic: FtpTraffic) -> bool:
    """Return True if a connection is between the client and server of a session, to a port above 1023."""
    ends = {connection.client.address, connection.server.address}
    return any(
        ends == {session.connection.client.address, session.connection.server.address} and connection.server.port > 1023
        for session in traffic.sessions
    )
