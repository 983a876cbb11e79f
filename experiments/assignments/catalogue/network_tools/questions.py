"""Tasks of the assignment network-tools: parameters, sample solution, and grading of the student's capture.

Students work with curl, dig and other clients in an emulated network, and hand in a capture of their work. variant()
draws the random parameters of one student, and solution() returns commands that solve all tasks. Each function q1, q2,
... grades one task: it searches the student's capture for the packets that the task requires, and returns a Key. The
answer in the Key is an object of the class Found, with the share (0 to 1) of the points that these packets earn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from lab7.experiments.assignments.answer_types import Found
from lab7.experiments.assignments.capture_view import CaptureView, Framed, span
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.http.lab import MODIFIED, write_picture
from lab7.experiments.http.wire.http1 import Exchange, Message

QUESTIONS = (
    ("MX", "campus.edu"),
    ("MX", "example.com"),
    ("NS", "campus.edu"),
    ("NS", "example.com"),
    ("A", "ftp.example.com"),
    ("A", "mail.example.com"),
)
SUBMISSION_PORT, PROXY_PORT = 587, 3128
# Time in which a submitted mail is relayed and stored, with a wide margin.
RELAY_S = 3.0


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: DNS query, objects, FTP transfer mode, passwords, and protocol (POP3 or IMAP)."""
    qtype, qname = draw.choice("query", QUESTIONS)
    passwords = {user: f"{draw.word(f'{user}-1')}-{draw.word(f'{user}-2')}" for user in ("alice", "carol")}
    return {
        "qtype": qtype,
        "qname": qname,
        "page": f"{draw.word('page')}.html",
        "picture": f"{draw.word('picture')}.png",
        "picture_bytes": draw.number("picture-size", 500, 4_000),
        "file": f"{draw.word('file')}.bin",
        "file_bytes": draw.number("file-size", 2_000, 20_000),
        "mode": draw.choice("mode", ("active", "passive")),
        "access": draw.choice("access", ("POP3", "IMAP")),
        **passwords,
        "parameters": {
            "campus_accounts": f"alice:{passwords['alice']}\n",
            "accounts": f"carol:{passwords['carol']}\n",
            "scale": draw.number("scale", 5, 15) / 10,
        },
    }


def prepare(folder: Path, variant: Mapping[str, Any]) -> None:
    """Write the files of the campus's web site and of the FTP server."""
    page = f'<!doctype html>\n<meta name="course" content="{variant["nonce"]}">\n<title>{variant["page"]}</title>\n'
    (folder / variant["page"]).write_text(page)
    write_picture(folder / variant["picture"], variant["picture_bytes"], 1)
    (folder / variant["file"]).write_bytes(Random(variant["nonce"]).randbytes(variant["file_bytes"]))
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
        path.chmod(0o644)


def record(lab: Lab) -> None:
    """Produce the traffic of a student who solves all tasks, by the commands of `solution`."""
    for host, command in solution(lab.variant):
        lab.run(host, command)
        time.sleep(RELAY_S)


def solution(variant: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (host, shell command) for each step of a sample solution of all tasks, in order."""
    page, picture = f"http://www.campus.edu/{variant['page']}", f"http://www.campus.edu/{variant['picture']}"
    ftp = (
        f"curl -sS -o /dev/null {'-P -' if variant['mode'] == 'active' else ''} ftp://ftp.example.com/{variant['file']}"
    )
    alice, carol = f"alice:{variant['alice']}", f"carol:{variant['carol']}"
    mail = f"printf 'From: alice@campus.edu\\r\\nSubject: {variant['nonce']}\\r\\n\\r\\nHello.\\r\\n'"
    submit = (
        f"curl -sS smtp://{alice}@mail.campus.edu:587 --mail-from alice@campus.edu --mail-rcpt carol@example.com -T -"
    )
    path = "/1" if variant["access"] == "POP3" else "/INBOX/;MAILINDEX=1"
    return [
        ("alice", f"dig {variant['qname']} {variant['qtype']}"),
        ("alice", f"curl -sS {page}"),
        ("alice", f"curl -sS -H 'If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT' {page}"),
        ("alice", f"curl -sS -o /dev/null -x http://cache.campus.edu:3128 {picture}"),
        ("alice", f"curl -sS -o /dev/null -x http://cache.campus.edu:3128 {picture}"),
        ("alice", f"curl -sSI http://www.campus.edu/{variant['file']}"),
        ("alice", ftp),
        ("alice", f"{mail} | {submit}"),
        ("carol", f"curl -sS '{variant['access'].lower()}://{carol}@mail.example.com{path}'"),
    ]


def _found(explanation: str, frames: Iterable[int]) -> Key:
    return Key(Found(1.0), tuple(frames), explanation)


def _missing(explanation: str, share: float = 0.0) -> Key:
    return Key(Found(share), (), explanation)


def _named(name: str) -> str:
    return name.lower().rstrip(".") + "."


def _for(seen: CaptureView, name: str, port: int, method: bytes = b"GET") -> list[Exchange]:
    """Return the HTTP requests of Alice, with responses, for the object that the drawn parameter `name` names.

    port: the server port of the requests.
    """
    conversations = [one for one in seen.page_load.conversations if one.connection.server.port == port]
    path = f"/{seen.variant[name]}".encode()
    return [
        each
        for one in conversations
        for each in one.exchanges
        if each.request.start_line[1].partition(b"?")[0].endswith(path) and each.request.start_line[0] == method
    ]


def _status(message: Message | None) -> str:
    return "no response" if message is None else message.start_line[1].decode(errors="replace")


def _frames(*messages: Framed) -> list[int]:
    return [frame for one in messages for frame in one.frames]


@question(points=1, filter="dns.flags.response == 1", hint="`alice dig NAME TYPE` asks the name server of the host.")
def q1(seen: CaptureView) -> Key:
    """Grade the task: a DNS query for the drawn name and type, and a response with records of this type."""
    wanted, qname = seen.variant["qtype"], _named(seen.variant["qname"])
    asked = [one for one in seen.dns.exchanges if one.query.question is not None]
    same = [
        one
        for one in asked
        if one.query.question and (one.query.question.qname, one.query.question.qtype) == (qname, wanted)
    ]
    for one in same:
        if one.response is not None and any(record.type == wanted for record in one.response.answer):
            return _found(
                f"Query in frame {one.query.frame}, response in frame {one.response.frame}.",
                (one.query.frame, one.response.frame),
            )
    if same:
        return _missing(
            f"The query for {qname} {wanted} in frame {same[0].query.frame} has no response with such a record."
        )
    return _missing(f"There is no query for {qname} {wanted} among the {len(asked)} of alice.")


@question(points=1, filter="http.request.method == GET", hint="`curl -i` prints the status line, too.")
def q2(seen: CaptureView) -> Key:
    """Grade the task: a GET request for the page, and a 200 response with the student's nonce in its content."""
    tried = _for(seen, "page", 80)
    for one in tried:
        if (
            one.response is not None
            and _status(one.response) == "200"
            and seen.variant["nonce"].encode() in one.response.body
        ):
            return _found(f"{span(one.response)}: 200 (RFC 9110 section 15.3.1).", _frames(one.request, one.response))
    found = ", ".join(_status(one.response) for one in tried)
    return _missing(f"No GET of /{seen.variant['page']} got a 200 with the page" + (f": {found}." if found else "."))


@question(points=2, filter="http.response.code == 304", hint="If-Modified-Since takes the date of Last-Modified.")
def q3(seen: CaptureView) -> Key:
    """Grade the task: a conditional request for the page, answered by 304; half the points for another answer."""
    tried = [
        one
        for one in _for(seen, "page", 80)
        if one.request.values(b"if-modified-since") or one.request.values(b"if-none-match")
    ]
    for one in tried:
        if one.response is not None and _status(one.response) == "304":
            return _found(f"{span(one.response)}: 304 (RFC 9110 section 15.4.5).", _frames(one.request, one.response))
    if tried:
        found = ", ".join(_status(one.response) for one in tried)
        return _missing(f"{span(tried[0].request)}: a conditional request, but the answer is {found}.", 0.5)
    return _missing("There is no request for the page with If-Modified-Since or If-None-Match (RFC 9110 section 13.1).")


@question(points=2, filter="tcp.port == 3128", hint="The second time the proxy has it; see Age or Cache-Status.")
def q4(seen: CaptureView) -> Key:
    """Grade the task: a response with the picture from the proxy's cache; half the points for a cache miss."""
    tried = _for(seen, "picture", PROXY_PORT)
    for one in tried:
        if (
            one.response is not None
            and _status(one.response) == "200"
            and any(b"hit" in value for value in one.response.values(b"cache-status"))
        ):
            return _found(f"{span(one.response)}: a hit (RFC 9211 section 2).", _frames(one.request, one.response))
    if tried:
        return _missing(f"{span(tried[0].request)}: a request through the proxy, but no response is a hit.", 0.5)
    return _missing(f"There is no request for /{seen.variant['picture']} to the proxy.")


@question(points=2, filter="ftp || ftp-data", hint="`curl -P -` uses PORT or EPRT, without it PASV or EPSV.")
def q5(seen: CaptureView) -> Key:
    """Grade the task: a complete FTP transfer of the file in the drawn mode; half the points for any other transfer."""
    name, mode, size = seen.variant["file"], seen.variant["mode"], seen.variant["file_bytes"]
    done = [one for one in seen.ftp.transfers if one.verb == "RETR" and one.base_name == name and one.done]
    for one in done:
        if one.announced is not None and one.announced.mode == mode and len(one.stream.data) == size:
            return _found(
                f"RETR in frame {one.exchange.command.frame}: {size} octets in {mode} mode.", one.exchange.frames
            )
    if done:
        how = done[0].announced.mode if done[0].announced is not None else "unknown"
        text = f"RETR in frame {done[0].exchange.command.frame} moved {len(done[0].stream.data)} octets in {how} mode"
        return _missing(f"{text}; {size} in {mode} mode were demanded (RFC 959 section 3.2).", 0.5)
    return _missing(f"There is no completed RETR of {name}.")


@question(
    points=2, filter="smtp", hint="swaks --server mail.campus.edu --port 587 --auth-user alice --header 'Subject: ...'"
)
def q6(seen: CaptureView) -> Key:
    """Grade the task: a message to Carol with the student's nonce in its header, submitted on port 587 and accepted."""
    mark = seen.variant["nonce"].encode()
    messages = [
        one
        for session in seen.smtp.sessions
        for one in session.messages
        if session.connection.server.port == SUBMISSION_PORT
    ]
    for one in messages:
        header = one.content.partition(b"\r\n\r\n")[0]
        to_carol = any(b"carol@example.com" in each.command.octets.lower() for each in one.recipients)
        if one.taken and to_carol and mark in header:
            return _found(f"The mail data end in frame {one.sent.command.frame}; accepted by 250.", one.sent.frames)
    why = (
        f"{len(messages)} submitted, none of them accepted with that subject for carol"
        if messages
        else "none submitted"
    )
    return _missing(f"There is no such mail: {why} (RFC 6409).")


@question(points=2, filter="pop || imap", hint="curl has pop3:// and imap://; mutt and telnet do, too.")
def q7(seen: CaptureView) -> Key:
    """Grade the task: retrieval of the message by Carol over the given protocol, POP3 or IMAP."""
    at, mark, access = seen.at("carol"), seen.variant["nonce"].encode(), seen.variant["access"]
    for session in at.pop3.sessions if access == "POP3" else at.imap.sessions:
        sent = session.connection.from_server
        place = sent.stream.data.find(mark)
        if place >= 0:
            frames = [segment.frame for segment in sent.segments if mark in segment.payload] or [
                sent.segments[-1].frame
            ]
            return _found(f"The subject is in what the server sent by {access}, in frame {frames[0]}.", frames)
    return _missing(f"The server has sent no mail with that subject to carol by {access}.")


@question(points=1, filter="http.request.method == HEAD", hint="`curl -I` sends HEAD.")
def q8(seen: CaptureView) -> Key:
    """Grade the task: a HEAD request for the file, and a 200 response."""
    for one in _for(seen, "file", 80, b"HEAD"):
        if one.response is not None and _status(one.response) == "200":
            return _found(
                f"{span(one.response)}: 200 to HEAD (RFC 9110 section 9.3.2).", _frames(one.request, one.response)
            )
    return _missing(f"There is no HEAD of /{seen.variant['file']} with a 200.")
