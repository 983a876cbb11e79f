"""CDN name server: replicas that stop, start, are slow or send garbage, and the answers then."""

from __future__ import annotations

from pathlib import Path

import dns.rcode
import pytest

from tests.loopback.dns.replicas import Play, cdn, endless, eventually, saying, slow, well

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
ALL: dict[int, Play] = {1: well(), 2: well(), 3: well()}


def test_a_replica_that_goes_is_out_and_one_that_comes_is_in(tmp_path: Path) -> None:
    with cdn(tmp_path, {1: well(), 3: well()}) as server:
        assert server.answered() == {1}
        server.replicas[2].does(well())
        assert server.comes_to({1, 2})
        server.replicas[1].goes()
        assert server.comes_to({2})
        # No replica is left in the region, then in any.
        server.replicas[2].goes()
        assert server.comes_to({3})
        server.replicas[3].goes()
        assert server.comes_to({99})
        server.replicas[1].does(well())
        assert server.comes_to({1})
        states = [(str(event["replica"])[-1], event["state"]) for event in server.events("health")]
        # Those before READY come in any order.
        assert sorted(states[:3]) == [("1", "up"), ("2", "down"), ("3", "up")]
        assert states[3:] == [("2", "up"), ("1", "down"), ("2", "down"), ("3", "down"), ("1", "up")]


@pytest.mark.parametrize(
    "play",
    [
        slow,
        endless,
        saying(BUSY),
        saying(b"220 this is no web server\r\n"),
        saying(b"\0" * 1000),
        saying(b""),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut"),
    ],
    ids=["slow", "endless", "503", "another protocol", "nonsense", "nothing", "cut"],
)
def test_a_replica_that_does_not_answer_well_is_out(tmp_path: Path, play: Play) -> None:
    with cdn(tmp_path, ALL) as server:
        assert server.answered() == {1, 2}
        server.replicas[1].does(play)
        assert server.comes_to({2})
        down = next(event for event in server.events("health") if event["state"] == "down")
        assert str(down["replica"]).endswith(".1")
        assert down["reason"]
        server.replicas[1].does(well())
        assert server.comes_to({1, 2})


def test_checks_go_on_and_ask_for_the_path_that_was_given(tmp_path: Path) -> None:
    with cdn(tmp_path, ALL, "--check-path", "/health?deep=1") as server:
        replica = server.replicas[1]
        assert eventually(lambda: len(replica.asked) >= 4)
        assert all(octets.startswith(b"GET /health?deep=1 HTTP/1.1\r\n") for octets in replica.asked)


def test_as_many_failures_in_a_row_as_are_asked_for(tmp_path: Path) -> None:
    with cdn(tmp_path, ALL, "--failures", "3") as server:
        replica = server.replicas[1]
        failed_from = len(replica.asked)
        replica.does(saying(BUSY))
        assert server.comes_to({2})
        # One check may have been in progress.
        assert len(replica.asked) - failed_from >= 3


def test_the_least_loaded_is_first_and_the_full_is_not_named(tmp_path: Path) -> None:
    def first() -> str:
        rrset = server.ask("10.8.1.0/24").answer[0]
        return str(next(iter(rrset)))[-1]

    with cdn(tmp_path, {1: well(50), 2: well(5), 3: well()}) as server:
        assert [first() for _ in range(4)] == ["2"] * 4
        server.replicas[2].does(well(80))
        assert eventually(lambda: first() == "1")
        assert [first() for _ in range(4)] == ["1"] * 4
        server.replicas[2].does(well(100))
        assert server.comes_to({1})
        # All replicas of the region are full, those of the next one are not.
        server.replicas[1].does(well(1000))
        assert server.comes_to({3})
        server.replicas[3].goes()
        assert server.comes_to({1, 2})


def test_without_an_origin_in_the_map_it_is_servfail(tmp_path: Path) -> None:
    with cdn(tmp_path, {}, otherwise="servfail") as server:
        reply = server.ask("10.8.1.0/24")
        assert (dns.rcode.to_text(reply.rcode()), list(reply.answer)) == ("SERVFAIL", [])
        server.replicas[3].does(well())
        assert server.comes_to({3})


def test_a_hangup_has_the_map_read_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    with cdn(tmp_path, ALL) as server:
        assert server.answered() == {1, 2}
        file = tmp_path / "regions"
        text = file.read_text()
        file.write_text(text.replace("10.8.0.0/17", "10.8.0.0/18"))
        assert server.hang_up("reload_failed")
        assert "no region contains 10.8.64.0/18" in str(server.events("reload_failed")[0]["reason"])
        assert server.answered() == {1, 2}
        without = text.replace(f"replica europe {server.net}.1 capacity 100\n", "")
        file.write_text(without)
        assert server.hang_up("reloaded")
        assert server.answered() == {2}
        # It is not checked any more, except for a check in progress.
        checks_before = len(server.replicas[1].asked)
        others = len(server.replicas[2].asked)
        assert eventually(lambda: len(server.replicas[2].asked) >= others + 3)
        assert len(server.replicas[1].asked) <= checks_before + 1
        # A new replica is used once the reload is complete.
        file.write_text(text)
        assert server.hang_up("reloaded")
        assert server.answered() == {1, 2}
