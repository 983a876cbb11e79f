"""Messages of a capture of one interface as tshark lists them, and as the ladder does, in one comparable form.

A message is (number of the frame in which tshark shows it, its text: method and target, status code, verb and argument,
or tag), as far as a label of the ladder shows it. tshark's list has lines that are no messages: the first line of a
reply of FTP that goes on in later segments, the last line of a literal of IMAP, whose parenthesis it takes for a tag.
They are left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import read_readable_capture
from lab7.experiments.ladder.ladder import Arrow, Ladder, ladder_of
from lab7.experiments.ladder.messages import LABEL_MAX

Message = tuple[int, str]
SEPARATOR = "\x1f"
# Characters of a text that are compared: a longer label ends in an ellipsis.
TEXT_MAX = LABEL_MAX - 1
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed: apt install tshark")


def comparable(text: str) -> str:
    """Return a text as far as a label of the ladder shows it; of SMTP's commands tshark takes the fifth letter away."""
    text = text.strip()[:TEXT_MAX]
    return "STARTTLS" if text == "STAR TLS" else text


def tshark_fields(
    capture: Path, display_filter: str, fields: Sequence[str], preferences: Sequence[str] = ()
) -> Iterator[dict[str, list[str]]]:
    """Yield the values of these fields for each frame that the filter selects, by field."""
    options = [option for field in fields for option in ("-e", field)]
    settings = [word for one in ("tcp.reassemble_out_of_order:TRUE", *preferences) for word in ("-o", one)]
    command = ["tshark", "-n", "-r", str(capture), *settings, "-Y", display_filter]
    command += ["-T", "fields", "-E", "separator=/t", "-E", f"aggregator={SEPARATOR}", *options]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    output, errors = (octets.decode(errors="replace") for octets in (done.stdout, done.stderr))
    # tshark reads a file that ends within a packet up to there, and exits with 2.
    assert done.returncode == 0 or "appears to have been cut short" in errors, errors
    for line in filter(None, output.split("\n")):
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
# Without repeated segments, and without protocols that tshark shows by the fields of DNS and HTTP: multicast DNS, LLMNR
# (RFC 4795), NetBIOS, SSDP and others over UDP, and the beginnings of packets that ICMP errors quote.
COMPARABLE = (
    "(http or http2 or dns or smtp or pop or imap or ftp) and not tcp.analysis.retransmission"
    " and not (mdns or llmnr or nbns or icmp or icmpv6 or (udp and (ssdp or http)))"
)
# The information that tshark prints about the first line of a reply whose last line is in a later segment.
FTP_CONTINUES = re.compile(r"Response: [1-5][0-9][0-9]-(?!.*[1-5][0-9][0-9] )")
IMAP_NO_TAG = ")"


def tshark_messages(capture: Path, *preferences: str) -> dict[str, list[Message]]:
    """Return tshark's messages of each protocol in the order of frames, without those in repeated segments."""
    names = [name for request, response in FIELDS.values() for name in (*request, response)]
    found: dict[str, list[Message]] = {protocol: [] for protocol in (*FIELDS, "dns")}
    wanted = ["frame.number", "dns.flags.response", INFO, *names]
    for row in tshark_fields(capture, COMPARABLE, wanted, preferences):
        number = int(row["frame.number"][0])
        for response in row["dns.flags.response"]:
            found["dns"].append((number, "response" if response == "1" else "query"))
        for protocol, ((verb, argument), reply) in FIELDS.items():
            words = zip_longest(row[verb], row[argument], fillvalue="")
            found[protocol] += [(number, comparable(" ".join(pair))) for pair in words]
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
    # tshark's command is the word after the prefix UID.
    return tag if arrow.response else f"{tag} {next((word for word in rest if word != 'UID'), '')}"


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
    ordered = sorted(found, key=lambda one: one[0])
    return [(number, comparable(words)) for number, words in ordered if words is not None]


def _protocol(arrow: Arrow) -> str:
    return arrow.protocol if arrow.protocol != "http" else "http2" if "(stream" in arrow.label else "http1"


def by_protocol(messages: Mapping[str, list[Message]]) -> dict[str, list[Message]]:
    """Put HTTP of both versions into one list: an upgrade's request is of one and its response of the other."""
    http = sorted(messages["http1"] + messages["http2"], key=lambda one: one[0])
    return {"http": http, **{name: some for name, some in messages.items() if not name.startswith("http")}}


def compared(capture: Path) -> tuple[dict[str, list[Message]], dict[str, list[Message]]]:
    """Return (the ladder's messages, tshark's) of a capture by protocol; they are equal if both read the same."""
    captured = read_readable_capture(capture)
    # Of a response whose content was not captured, tshark shows the first frame alone.
    cut = any(frame.truncated for frame in captured.frames)
    at_beginning = (*SHOWN_AT_BEGINNING, "http1") if cut else SHOWN_AT_BEGINNING
    ladder = ladder_of(captured)
    ours = by_protocol({name: ladder_messages(ladder, name, text, at_beginning) for name, text in TEXTS.items()})
    theirs = by_protocol(tshark_messages(capture))
    if Counter(ours["http"]) - Counter(theirs["http"]):
        begun = _only_begun(ladder, capture)
        ours["http"] = [one for one in ours["http"] if one in theirs["http"] or one not in begun]
    return ours, theirs


def _only_begun(ladder: Ladder, capture: Path) -> set[Message]:
    """Return the ladder's responses of HTTP/1 whose end is not in the capture, as tshark's option confirms.

    tshark lists such a response only if it waits neither for the body nor for segments that are missing.
    """
    at_once = ("http.desegment_body:FALSE", "tcp.reassemble_out_of_order:FALSE")
    headers = set(tshark_messages(capture, *at_once)["http1"])
    return {
        (max(arrow.frames), words)
        for arrow in ladder.arrows
        if _protocol(arrow) == "http1" and arrow.response and (words := _http_words(arrow)) is not None
        if any((number, words) in headers for number in arrow.frames)
    }
