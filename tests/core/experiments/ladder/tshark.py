"""Messages of a capture of one interface as tshark lists them, and as the ladder does, in one comparable form.

A message is (number of the frame in which tshark shows it, its text: method and target, status code, verb and argument,
or tag). tshark's list has lines that are no messages: the first line of a reply of FTP that goes on in later segments,
the last line of a literal of IMAP, whose parenthesis it takes for a tag. They are left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from lab7.experiments.ladder.ladder import Arrow, Ladder

Message = tuple[int, str]
SEPARATOR = "\x1f"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: apt install tshark")


def tshark_fields(capture: Path, display_filter: str, fields: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the values of these fields for each frame that the filter selects, by field."""
    options = [option for field in fields for option in ("-e", field)]
    command = ["tshark", "-n", "-r", str(capture), "-o", "tcp.reassemble_out_of_order:TRUE", "-Y", display_filter]
    command += ["-T", "fields", "-E", "separator=/t", "-E", f"aggregator={SEPARATOR}", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # tshark reads a file that ends within a packet up to there, and exits with 2.
    assert done.returncode == 0 or "appears to have been cut short" in done.stderr, done.stderr
    output = done.stdout
    for line in output.splitlines():
        yield {
            field: [one for one in value.split(SEPARATOR) if one]
            for field, value in zip(fields, line.split("\t"), strict=True)
        }


# Fields of each protocol: those whose values together are a request, and that of a response.
FIELDS: dict[str, tuple[tuple[str, ...], str]] = {
    "http1": (("http.request.method", "http.request.uri"), "http.response.code"),
    "http2": (("http2.headers.method", "http2.headers.path"), "http2.headers.status"),
    "smtp": (("smtp.req.command", "smtp.req.parameter"), "smtp.response.code"),
    "pop3": (("pop.request.command", "pop.request.parameter"), "pop.response.indicator"),
    "imap": (("imap.request_tag", "imap.request.command"), "imap.response_tag"),
    "ftp": (("ftp.request.command", "ftp.request.arg"), "ftp.response.code"),
}
INFO = "_ws.col.Info"
# The information that tshark prints about the first line of a reply whose last line is in a later segment.
FTP_CONTINUES = re.compile(r"Response: [1-5][0-9][0-9]-(?!.*[1-5][0-9][0-9] )")
IMAP_NO_TAG = ")"


def tshark_messages(capture: Path) -> dict[str, list[Message]]:
    """Return tshark's messages of each protocol in the order of frames, without those in repeated segments."""
    names = [name for request, response in FIELDS.values() for name in (*request, response)]
    found: dict[str, list[Message]] = {protocol: [] for protocol in (*FIELDS, "dns")}
    for row in tshark_fields(
        capture, "not tcp.analysis.retransmission", ["frame.number", "dns.flags.response", INFO, *names]
    ):
        number = int(row["frame.number"][0])
        for response in row["dns.flags.response"]:
            found["dns"].append((number, "response" if response == "1" else "query"))
        for protocol, ((verb, argument), reply) in FIELDS.items():
            words = zip_longest(row[verb], row[argument], fillvalue="")
            found[protocol] += [(number, " ".join(pair).strip()) for pair in words]
            if protocol == "ftp" and row[INFO] and FTP_CONTINUES.match(row[INFO][0]):
                continue
            found[protocol] += [(number, code) for code in row[reply] if code != IMAP_NO_TAG]
    return found


def _http_words(arrow: Arrow) -> str | None:
    label = arrow.label.partition(" (stream")[0].removeprefix("PUSH ")
    return label[:3] if arrow.response else label


def _dns_words(arrow: Arrow) -> str | None:
    return "response" if arrow.response else "query"


def _smtp_words(arrow: Arrow) -> str | None:
    if arrow.label.endswith("octets of mail data"):
        return None
    return arrow.label[:3] if arrow.response else arrow.label


def _ftp_words(arrow: Arrow) -> str | None:
    return arrow.label[:3] if arrow.response else arrow.label


def _pop3_words(arrow: Arrow) -> str | None:
    if arrow.response and arrow.label.startswith("+ "):
        # A challenge of AUTH (RFC 5034 section 4), of which tshark has no field.
        return None
    return arrow.label.split(" ")[0] if arrow.response else arrow.label


def _imap_words(arrow: Arrow) -> str | None:
    tag, *rest = arrow.label.split(" ")
    if tag in ("*", "+"):
        return None
    return tag if arrow.response else f"{tag} {rest[0]}"


# Text of a ladder's arrow that is comparable to tshark's; None: not in tshark's list.
TEXTS: dict[str, Callable[[Arrow], str | None]] = {
    "http1": _http_words,
    "http2": _http_words,
    "dns": _dns_words,
    "smtp": _smtp_words,
    "pop3": _pop3_words,
    "imap": _imap_words,
    "ftp": _ftp_words,
}
# Protocols of which tshark shows a message in the frame with its beginning, not in that with its end.
SHOWN_AT_BEGINNING = ("http2", "pop3")


def ladder_messages(
    ladder: Ladder,
    protocol: str,
    text: Callable[[Arrow], str | None],
    at_beginning: Collection[str] = SHOWN_AT_BEGINNING,
) -> list[Message]:
    """Return a ladder's messages of one protocol in the order of frames; `text` gives their comparable texts.

    at_beginning: the protocols of which tshark shows a message in its first frame.
    """
    place = min if protocol in at_beginning else max
    found = [(place(arrow.frames), text(arrow)) for arrow in ladder.arrows if _protocol(arrow) == protocol]
    return [(number, words) for number, words in sorted(found, key=lambda one: one[0]) if words is not None]


def _protocol(arrow: Arrow) -> str:
    return arrow.protocol if arrow.protocol != "http" else "http2" if "(stream" in arrow.label else "http1"
