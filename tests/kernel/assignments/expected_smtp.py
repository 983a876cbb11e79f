"""Answers of the SMTP assignment by tshark, by question; parts are decoded here, without a MIME parser."""

from __future__ import annotations

import base64
import quopri
import re
from pathlib import Path

from tests.kernel.assignments import tshark

SUBMISSION, RELAY = "tcp.port == 587", "tcp.port == 25"


def _imf(capture: Path, session: str, field: str) -> str:
    return tshark.fields(capture, f"imf && {session}", field)[0][0]


def _in_brackets(text: str) -> str:
    return text.partition("<")[2].partition(">")[0]


def _auth(capture: Path) -> str:
    parameter = tshark.fields(capture, 'smtp.req.command == "AUTH"', "smtp.req.parameter")[0][0]
    return base64.b64decode(parameter.split()[1]).split(b"\0")[2].decode()


def _hidden(capture: Path) -> str:
    rows = tshark.fields(capture, f'smtp.req.command == "RCPT" && {SUBMISSION}', "smtp.req.parameter")
    shown = _imf(capture, SUBMISSION, "imf.to")
    (hidden,) = {_in_brackets(parameter) for (parameter,) in rows} - set(shown.split(", "))
    return hidden


def _size(capture: Path) -> str:
    parameters = tshark.fields(capture, f'smtp.rsp.parameter contains "SIZE" && {RELAY}', "smtp.rsp.parameter")[0][0]
    found = re.findall(r"SIZE (\d+)", parameters)
    return f"{found[0]} bytes"


def _refused(capture: Path) -> tuple[str, str]:
    """Return (mailbox, reply code) of the refused recipient; commands and replies are pipelined."""
    commands = tshark.fields(capture, f'smtp.req.command == "RCPT" && {RELAY}', "smtp.req.parameter")
    parameters = [one for (row,) in commands for one in row.split("|")]
    (first, *_) = tshark.frames(capture, f'smtp.req.command == "MAIL" && {RELAY}')
    replies = tshark.fields(capture, f"smtp.response.code && {RELAY} && frame.number > {first}", "smtp.response.code")
    codes = [code for (row,) in replies for code in row.split("|")]
    place = next(at for at, code in enumerate(codes) if code[0] in "45")
    return _in_brackets(parameters[place]), codes[place]


def _accepted(capture: Path) -> str:
    (message,) = tshark.frames(capture, f"imf && {RELAY}")
    return str(tshark.frames(capture, f"smtp.response.code == 250 && {RELAY} && frame.number > {message}")[0])


def _boundary(capture: Path) -> str:
    return _imf(capture, RELAY, "imf.content.type.parameters").partition('boundary="')[2].partition('"')[0]


def _encoding(capture: Path) -> str:
    return _imf(capture, RELAY, "mime_multipart.header.content-transfer-encoding").split("|")[-1].strip()


def _attachment(capture: Path) -> bytes:
    stream = tshark.sent(capture, "tcp.dstport == 25")
    part = stream.split(b"\r\n--" + _boundary(capture).encode())[2]
    body = part.split(b"\r\n\r\n", 1)[1]
    return base64.b64decode(body) if _encoding(capture) == "base64" else quopri.decodestring(body)


SMTP_MIME: tshark.Expected = {
    "q1": lambda capture, _: _auth(capture),
    "q2": lambda capture, _: _hidden(capture),
    "q3": lambda capture, _: _size(capture),
    "q4": lambda capture, _: _refused(capture)[0],
    "q5": lambda capture, _: _refused(capture)[1],
    "q6": lambda capture, _: _accepted(capture),
    "q7": lambda capture, _: _imf(capture, RELAY, "imf.received").split()[1],
    "q8": lambda capture, _: _boundary(capture),
    "q9": lambda capture, _: _encoding(capture),
    "q10": lambda capture, _: f"{len(_attachment(capture))} bytes",
    "q11": lambda capture, _: str(len(re.findall(rb"\r\n\.\.", tshark.sent(capture, "tcp.dstport == 25")))),
    "q12": lambda capture, _: _in_brackets(_imf(capture, RELAY, "imf.message_id")),
}
