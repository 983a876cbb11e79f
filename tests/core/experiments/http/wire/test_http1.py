"""HTTP/1 conversations: a final response before the upload has ended is an exchange, and no fault of either end."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.http.claims.http1 import sound
from lab7.experiments.http.wire.http1 import Conversation
from lab7.experiments.http.wire.page_load import decompose
from tests.core.experiments.harness.wire import Tcp, Wire
from tests.core.experiments.http.pages import load

UPLOAD = b"POST /upload HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 4000\r\n\r\n"
CHUNKED = b"POST /upload HTTP/1.1\r\nHost: www.example.com\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n"
REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
TIMED_OUT = REFUSED.replace(b"413 Content Too Large", b"408 Request Timeout")


def conversation(wire: Wire, folder: Path) -> Conversation:
    (found,) = load(wire, folder).conversations
    return found


@pytest.mark.parametrize("head", [UPLOAD, CHUNKED])
def test_a_client_may_give_up_an_upload_that_is_refused(tmp_path: Path, head: bytes) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", head).client("A", b"x" * 1000)
    wire.after(20)
    tcp.server("PA", REFUSED).close()
    found = conversation(wire, tmp_path)
    (exchange,) = found.exchanges
    assert exchange.response is not None
    assert exchange.response.start_line[1] == b"413"
    assert (exchange.request.body, exchange.request.whole) == (head.partition(b"\r\n\r\n")[2] + b"x" * 1000, False)
    assert (found.problem, found.leftover, found.request_problem) == (None, False, None)
    sound(found)


def test_a_client_may_send_the_rest_of_a_refused_upload(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", UPLOAD).client("A", b"x" * 1000)
    wire.after(20)
    tcp.server("PA", REFUSED)
    wire.after(20)
    tcp.client("PA", b"x" * 3000).close()
    found = conversation(wire, tmp_path)
    (exchange,) = found.exchanges
    assert exchange.request.whole
    sound(found)
    terms = decompose(load(wire, tmp_path)).terms
    assert all(value_s >= 0 for value_s in terms.values())


@pytest.mark.parametrize("how", ["gives up before", "is timed out", "is not answered"])
def test_a_client_that_does_not_send_its_request_is_at_fault(tmp_path: Path, how: str) -> None:
    wire = Wire()
    tcp = Tcp(wire).open()
    tcp.client("PA", UPLOAD).client("A", b"x" * 1000)
    wire.after(20)
    if how == "gives up before":
        tcp.client("FA")
        wire.after(20)
        tcp.server("PA", REFUSED).server("FA")
    elif how == "is timed out":
        tcp.server("PA", TIMED_OUT).close()
    else:
        tcp.close()
    assert conversation(wire, tmp_path).request_problem == "the client's stream ends inside a request"
