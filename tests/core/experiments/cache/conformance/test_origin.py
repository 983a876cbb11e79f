"""The scripted origin answers octet by octet as its script says, right or wrong."""

from __future__ import annotations

import pytest

from lab7.experiments.cache.conformance.origin import response_octets
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step

NOW = 784111777.0
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def octets(reply: Reply, method: str = "GET", **fields: str) -> bytes:
    (told,) = Check("check", "9111 4", "required", "", (Step(reply=reply),)).script_of_origin()
    return response_octets(told, method, {name.replace("_", "-"): value for name, value in fields.items()}, NOW)


def test_a_reply_has_its_fields_a_date_a_length_and_a_content_that_names_its_step() -> None:
    assert octets(Reply(fields=(("Age", "3"),))) == (
        b"HTTP/1.1 200 Scripted\r\nDate: " + DATE + b"\r\nAge: 3\r\nContent-Length: 8\r\n\r\ncheck 1\n"
    )


def test_its_own_date_and_framing_take_their_place() -> None:
    said = octets(Reply(fields=(("Date", "{now-100}"), ("Content-Length", "99"))))
    assert said.count(b"Date:") == 1
    assert b"Date: Sun, 06 Nov 1994 08:47:57 GMT\r\n" in said
    assert said.count(b"Content-Length:") == 1


@pytest.mark.parametrize(("text", "date"), [("{now}", DATE), ("{now+23}", b"Sun, 06 Nov 1994 08:50:00 GMT")])
def test_dates_are_those_of_the_moment(text: str, date: bytes) -> None:
    assert b"Expires: " + date + b"\r\n" in octets(Reply(fields=(("Expires", text),)))


@pytest.mark.parametrize("condition", ["if_none_match", "if_modified_since"])
def test_a_reply_that_validates_says_304_to_a_condition_only(condition: str) -> None:
    reply = Reply(fields=(("ETag", '"1"'),), validates=True)
    said = octets(reply, **{condition: "x"})
    assert said.startswith(b"HTTP/1.1 304 ")
    assert b'ETag: "1"\r\n' in said
    assert said.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in said
    assert octets(reply).startswith(b"HTTP/1.1 200 ")
    assert octets(Reply(), **{condition: "x"}).startswith(b"HTTP/1.1 200 ")


def test_a_part_is_for_who_asks_for_one() -> None:
    reply = Reply(body="0123456789", part=(2, 4))
    assert octets(reply).endswith(b"Content-Length: 10\r\n\r\n0123456789")
    said = octets(reply, range="bytes=2-4")
    assert said.startswith(b"HTTP/1.1 206 ")
    assert b"Content-Range: bytes 2-4/10\r\n" in said
    assert said.endswith(b"Content-Length: 3\r\n\r\n234")


def test_a_cut_reply_promises_more_than_it_sends() -> None:
    assert octets(Reply(body="0123456789", cut=4)).endswith(b"Content-Length: 10\r\n\r\n0123")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
def test_head_and_204_have_no_content(method: str, status: int) -> None:
    assert octets(Reply(status=status), method).endswith(b"\r\n\r\n")


def test_octets_are_sent_as_they_are_with_their_dates() -> None:
    assert octets(Reply(octets="HTTP/1.1 200 OK\r\nDate : {now}\r\n")) == b"HTTP/1.1 200 OK\r\nDate : " + DATE + b"\r\n"


def test_a_client_asks_a_proxy_by_the_absolute_form() -> None:
    check = Check("check", "9111 4", "required", "", (Step(path="/a", fields=(("Range", "bytes=0-1"),), body="x"),))
    proxied, direct = check.request(1, forward=True), check.request(1, forward=False)
    assert proxied.startswith(
        b"GET http://www.example.com/check/a HTTP/1.1\r\nHost: www.example.com\r\nLab-Step: 1\r\n"
    )
    assert direct.startswith(b"GET /check/a HTTP/1.1\r\n")
    assert direct.endswith(b"Range: bytes=0-1\r\nContent-Length: 1\r\n\r\nx")
