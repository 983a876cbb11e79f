"""Questions of the assignment ftp-modes, on control and data connections of FTP: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from lab7.experiments.assignments.answer_types import Choice, Frames, Listing, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.ftp.lab import ScriptedClient
from lab7.experiments.ftp.wire.grammar import Reply
from lab7.experiments.ftp.wire.sessions import FtpExchange, FtpSession, Transfer

MODES = ("passive", "active")
# Modification times are drawn within a year from this time on (2023-11-14 22:13:20 UTC).
MODIFIED, YEAR_S = 1_700_000_000, 31_536_000
# Time in seconds after the session for the capture of the connection's last segments.
CLOSE_S = 1.0


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: user, passwords, files, and the order, types and modes of the transfers."""
    user = draw.word("user", 2)
    binary, text = f"{draw.word('binary')}.bin", f"{draw.word('text')}.txt"
    stored, missing = f"{draw.word('stored')}.log", f"{draw.word('missing')}.zip"
    transfers = [
        [f"NLST {draw.choice('listing', ['.', 'old'])}", "A"],
        [f"RETR {binary}", "I"],
        [f"RETR {text}", "A"],
        [f"RETR {missing}", "I"],
        [f"STOR {stored}", draw.choice("stored-type", ["A", "I"])],
    ]
    for number in range(draw.number("repeats", 0, 3)):
        transfers.append([f"RETR old/{number}.txt", draw.choice(f"repeat-{number}", ["A", "I"])])
    transfers = draw.shuffled("order", transfers)
    # Both modes occur, since the first two of a session differ; a missing file opens no connection in active mode.
    first = draw.choice("first-mode", MODES)
    real = [command for command, _ in transfers if missing not in command]
    modes = {command: draw.choice(f"mode/{command[:4]}/{at}", MODES) for at, command in enumerate(real)}
    modes |= {real[0]: first, real[1]: MODES[first == MODES[0]], f"RETR {missing}": "passive"}
    return {
        "user": user,
        "password": f"{draw.word('password-1')}-{draw.word('password-2')}{draw.number('password-3', 10, 99)}",
        "wrong": f"{draw.word('password-1')}-{draw.word('wrong-2')}{draw.number('wrong-3', 10, 99)}",
        "binary": binary,
        "binary_bytes": draw.number("binary-size", 3_000, 60_000),
        "text": text,
        "text_lines": draw.number("text-lines", 11, 90),
        "stored": stored,
        "missing": missing,
        "transfers": [[*one, modes[one[0]]] for one in transfers],
        "modified": MODIFIED + draw.below("modified", YEAR_S),
        "parameters": {"delay": f"{draw.number('delay', 5, 60)}ms"},
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the server's accounts file and files, and the file that the client stores."""
    user = variant["user"]
    (folder / "users.toml").write_text(f'[users.{user}]\npassword = "plain:{variant["password"]}"\nhome = "{user}"\n')
    home = folder / "files" / user
    (home / "old").mkdir(parents=True)
    (home / variant["binary"]).write_bytes(Random(variant["modified"]).randbytes(variant["binary_bytes"]))
    lines = (f"Line {number} of {variant['text']}.\n" for number in range(variant["text_lines"]))
    (home / variant["text"]).write_text("".join(lines))
    for number in range(3):
        (home / "old" / f"{number}.txt").write_text(f"Number {number} of {user}.\n" * 5)
    for path in home.rglob("*"):
        os.utime(path, (variant["modified"], variant["modified"]))
    (folder / variant["stored"]).write_text(f"log of {user}\r\ntoken: {variant['nonce']}\r\nend of log\r\n")


def record(lab: Lab) -> None:
    """Produce the traffic: one FTP session with a wrong login, the right login, and the drawn transfers."""
    variant = lab.variant
    said = [
        f"USER {variant['user']}",
        f"PASS {variant['wrong']}",
        f"USER {variant['user']}",
        f"PASS {variant['password']}",
    ]
    steps: list[tuple[str, ...]] = [
        ("say", command) for command in (*said, "SYST", "PWD", "TYPE I", f"SIZE {variant['text']}")
    ]
    in_force = "I"
    for command, representation, mode in variant["transfers"]:
        if representation != in_force:
            steps.append(("say", f"TYPE {representation}"))
            in_force = representation
        file = (str(lab.files / variant["stored"]),) if command.startswith("STOR") else ()
        steps.append((mode, command, *file))
    ScriptedClient(lab.bed.host("client")).session([*steps, ("say", "QUIT")])
    time.sleep(CLOSE_S)


def _session(seen: CaptureView) -> FtpSession:
    (session,) = seen.ftp.sessions
    return session


def _transfer(seen: CaptureView, command: str) -> Transfer:
    return next(one for one in _session(seen).transfers if one.exchange.command.text == command)


def _binary(seen: CaptureView) -> Transfer:
    return _transfer(seen, f"RETR {seen.variant['binary']}")


def _first(exchanges: list[FtpExchange], *codes: int) -> FtpExchange:
    return next(one for one in exchanges if one.code in codes)


def _reply(exchange: FtpExchange) -> Reply:
    assert exchange.final is not None
    return exchange.final


@question(points=1, filter="ftp.request.command == PASS || ftp.response.code == 230", hint="Reply 230 is a login.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the password that the server accepts."""
    found = _first(_session(seen).exchanges_of("PASS"), 230)
    asked, answered = found.frames
    explanation = (
        f"The password is in clear text in frame {asked}, and reply 230 in frame {answered} accepts it; FTP itself "
        "encrypts nothing (RFC 2577 section 4)."
    )
    return Key(Text(found.command.argument.decode(), case=True), (asked, answered), explanation)


@question(points=1, filter="ftp.request.command == PASS || ftp.response.code >= 500", hint="Read the reply after PASS.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the reply code to PASS with the wrong password."""
    found = next(one for one in _session(seen).exchanges_of("PASS") if one.code != 230)
    asked, answered = found.frames
    explanation = f"PASS in frame {asked} gets reply {found.code} in frame {answered} (RFC 959 section 5.4)."
    return Key(Number(found.code), (asked, answered), explanation)


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="Each connection begins with one SYN.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the number of data connections."""
    _, *data = _session(seen).connections
    frames = tuple(sorted(one.syn.frame for one in data))
    explanation = (
        f"The SYNs are in the frames {', '.join(map(str, frames))}. In stream mode the end of a connection is the "
        "end of a file, so each transfer has its own (RFC 959 section 3.4.1)."
    )
    return Key(Number(len(frames)), frames, explanation)


@question(points=2, filter="ftp.request.command == PORT || ftp.response.code == 227", hint="The port is p1 * 256 + p2.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the port that PORT or the reply to PASV announces for the transfer of the binary file."""
    announced = _binary(seen).announced
    assert announced is not None
    port = announced.endpoint.port
    line = announced.exchange.command if announced.mode == "active" else _reply(announced.exchange)
    sum_ = f"{port // 256} * 256 + {port % 256} = {port}"
    explanation = f"`{line.text}` in frame {line.frame}: {sum_} (RFC 959 section 4.1.2)."
    return Key(Number(port), (line.frame,), explanation)


@question(points=1, filter="tcp.flags.syn == 1 && tcp.flags.ack == 0", hint="PORT and PASV differ in just this.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the side, client or server, that opens the data connection of the binary file."""
    transfer = _binary(seen)
    assert transfer.connection is not None
    assert transfer.announced is not None
    source, frame = transfer.connection.client, transfer.connection.syn.frame
    mode = transfer.announced.mode
    explanation = f"The mode is {mode}: the SYN in frame {frame} comes from {source} (RFC 959 section 3.2)."
    opener = "server" if source.address == transfer.server else "client"
    return Key(Choice(opener, ("client", "server")), (frame,), explanation)


@question(
    points=1,
    filter="tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip.src == 10.9.2.1",
    hint="Look for a SYN that the server sends.",
)
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the server's port on the data connections that the server opens (active mode)."""
    session = _session(seen)
    opened = [one for one in session.connections if one.client.address == session.connection.server.address]
    frames = tuple(one.syn.frame for one in opened)
    port = opened[0].client.port
    explanation = (
        f"The SYN in frame {frames[0]} comes from port {port}: the server's default data port is the one below the "
        "control port (RFC 959 section 3.2)."
    )
    return Key(Number(port), frames, explanation)


@question(
    points=1,
    filter="ftp.request.command == TYPE || ftp.request.command == STOR",
    hint="A type stays in force until the next TYPE.",
)
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the representation type (A or I) in force for the stored file."""
    stored = _transfer(seen, f"STOR {seen.variant['stored']}").exchange.command.frame
    last = [one for one in _session(seen).exchanges_of("TYPE") if one.command.frame < stored][-1].command
    explanation = (
        f"STOR is in frame {stored}, and the last TYPE before it is `{last.text}` in frame {last.frame} "
        "(RFC 959 section 4.1.2)."
    )
    return Key(Text(last.argument.decode()), (last.frame, stored), explanation)


@question(points=2, filter="ftp-data", hint="Add the lengths of the TCP segments of that data connection.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the number of octets of the binary file on its data connection."""
    transfer = _binary(seen)
    frames, size = _data_frames(transfer), len(transfer.stream.data)
    explanation = (
        f"The frames {frames[0]} to {frames[-1]} of the data connection carry {size} octets; its end is the end of the "
        "file (RFC 959 section 3.4.1)."
    )
    return Key(Number(size, "size", "bytes"), frames, explanation)


def _data_frames(transfer: Transfer) -> tuple[int, ...]:
    assert transfer.direction is not None
    return tuple(one.frame for one in transfer.direction.segments)


@question(points=2, filter="ftp.response.code == 213 || ftp-data", hint="What ends a line in TYPE A, what in the file?")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the number of octets that TYPE A adds to the text file, since it sends CRLF for LF."""
    transfer = _transfer(seen, f"RETR {seen.variant['text']}")
    size = _reply(_first(_session(seen).exchanges_of("SIZE"), 213))
    in_image, moved = int(size.message), len(transfer.stream.data)
    frames = _data_frames(transfer)
    explanation = (
        f"SIZE is {in_image} (frame {size.frame}; RFC 3659 section 4), and the data connection carries {moved} octets "
        f"(from frame {frames[0]} on): a line ends in CRLF there (RFC 959 section 3.1.1.1), and in LF in the server's "
        "file. The difference is the number of lines."
    )
    return Key(Number(moved - in_image, "size", "bytes"), (size.frame, *frames), explanation)


@question(
    points=1,
    filter="ftp.request.command == RETR || ftp.response.code in {125, 150, 226, 250}",
    hint="A transfer gets a preliminary reply and a final one.",
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the reply codes to the RETR of the binary file, preliminary reply first."""
    exchange = _binary(seen).exchange
    frames = tuple(one.frame for one in exchange.replies)
    explanation = (
        f"RETR is in frame {exchange.command.frame}, its replies are in the frames {', '.join(map(str, frames))} "
        "(RFC 959 section 5.4): 125 if the data connection is open already, 150 if it is yet to be opened."
    )
    return Key(Listing(tuple(map(Number, exchange.codes)), ordered=True), frames, explanation)


@question(points=1, filter="ftp.response.code == 550", hint="Permanent negative replies begin with 5.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the reply to the RETR of a file that does not exist."""
    exchange = _transfer(seen, f"RETR {seen.variant['missing']}").exchange
    reply = _reply(exchange)
    explanation = (
        f"`{exchange.command.text}` in frame {exchange.command.frame} gets `{reply.text}` (RFC 959 section 5.4)."
    )
    return Key(Frames((reply.frame,)), (reply.frame,), explanation)


@question(points=2, filter='ftp-data contains "token"', hint="Follow the TCP stream of the data connection.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the student's nonce in the file that the client stores."""
    transfer = _transfer(seen, f"STOR {seen.variant['stored']}")
    token = transfer.stream.data.partition(b"token: ")[2].split()[0].decode()
    (frame, *_) = _data_frames(transfer)
    return Key(Text(token), (frame,), f"Frame {frame} has the file in clear text, for everyone on the path to read.")
