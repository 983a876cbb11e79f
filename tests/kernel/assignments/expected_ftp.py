"""Answers of the FTP assignment by tshark, by question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kernel.assignments import tshark

SYN = "tcp.flags.syn == 1 && tcp.flags.ack == 0"
SERVER = "10.9.2.1"


def _moved(capture: Path, command: str) -> int:
    """Return the octets on the data connection of a transfer command."""
    rows = tshark.fields(capture, f'ftp-data.command == "{command}"', "tcp.len")
    return sum(int(length) for (length,) in rows)


def _binary(variant: Mapping[str, Any]) -> str:
    return f"RETR {variant['binary']}"


def _port(capture: Path, variant: Mapping[str, Any]) -> str:
    """Return the port by tshark's own arithmetic, in the frame that sets up the binary file's connection."""
    frame = tshark.fields(capture, f'ftp-data.command == "{_binary(variant)}"', "ftp-data.setup-frame")[0][0]
    passive, active = tshark.fields(capture, f"frame.number == {frame}", "ftp.passive.port", "ftp.active.port")[0]
    return passive or active


def _opener(capture: Path, variant: Mapping[str, Any]) -> str:
    stream = tshark.fields(capture, f'ftp-data.command == "{_binary(variant)}"', "tcp.stream")[0][0]
    source = tshark.fields(capture, f"{SYN} && tcp.stream == {stream}", "ip.src")[0][0]
    return "b) server" if source == SERVER else "a) client"


def _dialogue(capture: Path) -> list[tuple[int, str, str, str]]:
    """Return (frame, command, argument, reply code) of each line on the control connection."""
    names = ("frame.number", "ftp.request.command", "ftp.request.arg", "ftp.response.code")
    return [(int(frame), *rest) for frame, *rest in tshark.fields(capture, "ftp", *names)]  # type: ignore[misc]


def _replies(capture: Path, command: str, argument: str) -> list[tuple[int, str]]:
    """Return (frame, code) of the replies up to the next command."""
    lines = _dialogue(capture)
    at = next(place for place, line in enumerate(lines) if line[1:3] == (command, argument))
    following = next((place for place in range(at + 1, len(lines)) if lines[place][1]), len(lines))
    return [(frame, code) for frame, _, _, code in lines[at + 1 : following]]


def _password(capture: Path) -> str:
    lines = _dialogue(capture)
    accepted = next(place for place, line in enumerate(lines) if line[3] == "230")
    return lines[accepted - 1][2]


def _type(capture: Path, variant: Mapping[str, Any]) -> str:
    (stored,) = tshark.frames(capture, f'ftp.request.arg == "{variant["stored"]}"')
    return tshark.fields(capture, f"ftp.request.command == TYPE && frame.number < {stored}", "ftp.request.arg")[-1][0]


def _enlarged(capture: Path, variant: Mapping[str, Any]) -> str:
    size = int(tshark.fields(capture, "ftp.response.code == 213", "ftp.response.arg")[0][0])
    return f"{_moved(capture, 'RETR ' + variant['text']) - size} bytes"


def _token(capture: Path, variant: Mapping[str, Any]) -> str:
    octets = tshark.fields(capture, f'ftp-data.command == "STOR {variant["stored"]}"', "tcp.payload")[0][0]
    return bytes.fromhex(octets).split(b"token: ")[1].split()[0].decode()


FTP_MODES: tshark.Expected = {
    "q1": lambda capture, _: _password(capture),
    "q2": lambda capture, variant: _replies(capture, "PASS", variant["wrong"])[0][1],
    "q3": lambda capture, _: str(len(tshark.frames(capture, f"{SYN} && tcp.dstport != 21"))),
    "q4": _port,
    "q5": _opener,
    "q6": lambda capture, _: tshark.fields(capture, f"{SYN} && ip.src == {SERVER}", "tcp.srcport")[0][0],
    "q7": _type,
    "q8": lambda capture, variant: f"{_moved(capture, _binary(variant))} bytes",
    "q9": _enlarged,
    "q10": lambda capture, variant: ", ".join(code for _, code in _replies(capture, "RETR", variant["binary"])),
    "q11": lambda capture, variant: str(_replies(capture, "RETR", variant["missing"])[0][0]),
    "q12": _token,
}
