"""Faults of an origin or a client with which a claim was once shown: each such capture must not show it.

Claim  What would pass a check that looks at less                        What finds it
-----  ----------------------------------------------------------------  --------------------------------------------
H1     a response that precedes its request (also a later one on the     order of frames for every exchange; an error
       connection), or that is no HTTP                                   response is an answer, and passes
H2     a request outside the grammar; a response outside of it must not  the client's stream alone
       count against the request
H3     a version other than 1.x, a status outside 100 to 599, chunks     version, status and transfer coding
       for HTTP/1.0, octets behind the content
H4     a memory that is full before the two orders are tried, so that    the files; every equal request of the run
       both get the same wrong responses; one that shows elsewhere
H5     error pages, or fewer objects, on a connection each               the files
H6-H9  error pages, other or fewer octets, fewer or other objects,       the files; the page is requested first, each
       objects twice, objects before the page                            object once
H7     connections opened together, but used one after the other         requests precede the end of a first response
H8 H9  responses of HTTP/1.0, or in front of their requests              version and order of every response
H9     responses in another order than their requests                    the files
H10    a server that sends no HEADERS frame                              a HEADERS frame of the server's
H11    other objects wait for the large one; error pages; other sizes    DATA of every stream; the files
H12    responses without compression, also with only their status        the octets of every header block
       compressed
H13    an object that the page does not name, wrong octets, an error     the files
       page, or only some of the objects pushed
H14    error pages, other octets, fewer objects                          the files

Where the origin's files are not known, no claim on objects is shown.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.claims import http1, strategies
from lab7.experiments.http.claims import http2 as http_http2
from lab7.experiments.http.claims.delivery import undelivered
from lab7.experiments.http.wire.page_load import Files, PageLoad
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import Http2, body_of, data, multiplexed, pushed
from tests.core.experiments.http.pages import TARGETS, files_of, load, parallel, persistent, pipelined, serial

Decide = Callable[[Sequence[PageLoad]], Verdict]
Traffic = Callable[[Wire, Sequence[str]], Wire]

# Claims on the objects of a page, and how the page is loaded.
OBJECTS: dict[str, tuple[Decide, Traffic]] = {
    "H5": (http1.decide_connection_per_object, serial),
    "H6": (strategies.decide_serial_connections, serial),
    "H7": (strategies.decide_parallel_connections, parallel),
    "H8": (strategies.decide_persistent_connection, persistent),
    "H9": (strategies.decide_pipelining, pipelined),
    "H13": (http_http2.decide_server_push, pushed),
    "H14": (http_http2.decide_concurrent_streams, multiplexed),
}
EACH = pytest.mark.parametrize(("decide", "traffic"), OBJECTS.values(), ids=OBJECTS)


def given(**changes: bytes | None) -> Files:
    """What the origin was given, with other files in the place of those of this name (None: without it)."""
    files = {**files_of(), **{f"/{name}".encode(): octets for name, octets in changes.items()}}
    return {path: octets for path, octets in files.items() if octets is not None}


@EACH
def test_the_files_themselves_show_the_claim(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    said(decide([load(traffic(Wire(), TARGETS), tmp_path)]), "shown")


@EACH
@pytest.mark.parametrize(
    ("file", "says"),
    [
        (body_of("/b"), "its content has as many octets as the file (100) and differs from octet 1 on"),
        (body_of("/a")[:-1], "its content has more than 99 octets, the file has 99"),
        (body_of("/a") + b"x", "its content has 100 octets, the file has 101"),
        (b"", "its content has more than 0 octets, the file has 0"),
    ],
)
def test_other_octets_than_the_file_s_fail(
    file: bytes, says: str, decide: Decide, traffic: Traffic, tmp_path: Path
) -> None:
    found = load(traffic(Wire(), TARGETS), tmp_path, files=given(a=file))
    wrong = next(one.response for one in found.exchanges if one.target == b"/a")
    assert wrong is not None
    verdict = said(
        decide([found]), "failed", f"the response for /a in frame {wrong.frames[0]} differs from the file: {says}"
    )
    assert verdict.frames == (wrong.frames[0],)


@EACH
def test_an_object_that_was_not_fetched_fails(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    found = load(traffic(Wire(), TARGETS), tmp_path, files=given(c=b"another"))
    said(decide([found]), "failed", "/c was not requested")


@EACH
def test_an_object_that_the_page_does_not_name_fails(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    found = load(traffic(Wire(), TARGETS), tmp_path, files=given(b=None))
    said(
        decide([found]),
        "failed",
        "for /b is not for an object of the page",
        "is not for an object of the page",
    )


@EACH
def test_one_bad_load_among_good_ones_fails(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    good = load(traffic(Wire(), TARGETS), tmp_path)
    said(decide([good, replace(good, files=given(a=b"other"))]), "failed", "the response for /a")


@EACH
def test_without_the_files_nothing_is_shown(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    found = replace(load(traffic(Wire(), TARGETS), tmp_path), files=None)
    said(decide([found]), "undecided", "Not decidable: the contents of the origin are not known")


TEXT = {name: OBJECTS[name] for name in ("H5", "H6", "H7", "H8", "H9")}


@pytest.mark.parametrize(("decide", "traffic"), TEXT.values(), ids=TEXT)
@pytest.mark.parametrize("status", [b"404", b"206", b"500", b"203"])
def test_another_status_fails(status: bytes, decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    wire = traffic(Wire(), TARGETS)
    changed = [(at, octets.replace(b" 200 OK", b" " + status + b" OK")) for at, octets in wire.packets]
    # Of the page's own response the first stays as it is.
    first = next(place for place, (_, octets) in enumerate(wire.packets) if b" 200 OK" in octets)
    wire.packets = [*wire.packets[: first + 1], *changed[first + 1 :]]
    said(decide([load(wire, tmp_path)]), "failed", f"its status is {status.decode()}, not 200")


@pytest.mark.parametrize(("decide", "traffic"), TEXT.values(), ids=TEXT)
def test_an_object_before_the_page_fails(decide: Decide, traffic: Traffic, tmp_path: Path) -> None:
    said(
        decide([load(traffic(Wire(), ("/a", "/", "/b")), tmp_path)]),
        "failed",
        "the request for /a in frame 4 precedes the request for the page",
        "precedes the request for the page",
    )


@pytest.mark.parametrize("name", ["H6", "H7", "H8", "H9"])
def test_an_object_twice_fails(name: str, tmp_path: Path) -> None:
    decide, traffic = OBJECTS[name]
    said(decide([load(traffic(Wire(), (*TARGETS, "/a")), tmp_path)]), "failed", "/a is requested a second time")


@pytest.mark.parametrize("name", ["H13", "H14"])
def test_another_status_by_2_fails(name: str, tmp_path: Path) -> None:
    wire = Wire()
    http2 = Http2(wire)
    http2.start(http2.ask("/"))
    ids = (2, 4) if name == "H13" else (3, 5)
    promises = [http2.push(1, each, target) for each, target in zip(ids, TARGETS[1:], strict=True)]
    http2.server(http2.head(1), *(promises if name == "H13" else []), data(1, body_of("/")))
    if name == "H14":
        http2.client(http2.ask("/a"), http2.ask("/b"))
    for each, target in zip(ids, TARGETS[1:], strict=True):
        http2.server(http2.head(each, "404"), data(each, body_of(target)))
    said(OBJECTS[name][0]([load(wire, tmp_path)]), "failed", "the response for /a", "its status is 404, not 200")


# Content, however it was coded for the way


def one(tmp_path: Path, answered: bytes, file: bytes = b"hello", target: str = "/") -> PageLoad:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", request(target, "1.1")).server("PA", answered).close()
    return load(wire, tmp_path, files={b"/": file})


def coded(coding: str, content: bytes, more: str = "") -> bytes:
    lines = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n{more}Content-Length: {len(content)}\r\n\r\n"
    return lines.encode() + content


PLAIN = b"hello"


@pytest.mark.parametrize(
    "answered",
    [
        response(PLAIN, "1.1"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        coded("gzip", gzip.compress(PLAIN, mtime=0)),
        coded("X-GZIP", gzip.compress(PLAIN, mtime=0)),
        coded("deflate", zlib.compress(PLAIN)),
        coded("identity", PLAIN),
        coded("gzip, deflate", zlib.compress(gzip.compress(PLAIN, mtime=0))),
        coded("deflate", gzip.compress(zlib.compress(PLAIN), mtime=0), "Content-Encoding: gzip\r\n"),
    ],
)
def test_codings_are_undone(answered: bytes, tmp_path: Path) -> None:
    assert undelivered(one(tmp_path, answered), {b"/": PLAIN}) is None


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (coded("br", PLAIN), "its content coding is br"),
        (coded("gzip", PLAIN), "it is not valid gzip"),
        (coded("gzip", gzip.compress(PLAIN, mtime=0)[:-9]), "its gzip content is truncated"),
        (coded("gzip", gzip.compress(b"other", mtime=0)), "differs from octet 0 on"),
        # It is not unpacked any further than it has to be.
        (coded("gzip", gzip.compress(bytes(50_000_000), mtime=0)), "more than 5 octets"),
        (coded("deflate, gzip", zlib.compress(gzip.compress(PLAIN, mtime=0))), "it is not valid gzip"),
    ],
)
def test_what_cannot_be_decoded_is_not_delivered(answered: bytes, says: str, tmp_path: Path) -> None:
    found = undelivered(one(tmp_path, answered), {b"/": PLAIN})
    assert found is not None
    assert says in found.evidence


def test_absolute_form_is_the_same_object(tmp_path: Path) -> None:
    for target in ("http://www.example.com/", "http://www.example.com", "HTTP://WWW.example.com:80/"):
        assert undelivered(one(tmp_path, response(PLAIN), target=target), {b"/": PLAIN}) is None
    assert undelivered(one(tmp_path, response(PLAIN), target="/?x"), {b"/": PLAIN}) is not None
