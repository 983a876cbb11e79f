"""Sockets of running networks: names, modes, what is left of killed networks, and channels between processes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.client import NotUpError, ask, connected
from lab7.topologies.emulation.control.protocol import ProtocolError
from lab7.topologies.emulation.errors import EmulationError, MachineError

# As deep as a runtime folder may be: sun_path has room for 108 octets (unix(7)).
DEEP = "d" * 150
KILLED = (
    "import os, signal\n"
    "from lab7.topologies.emulation.control.registry import published\n"
    "with published('web', exact=True):\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / DEEP / "runtime"
    place.parent.mkdir()
    monkeypatch.setenv(registry.VARIABLE, str(place))
    yield place
    assert registry.MARK not in os.environ


def test_a_published_network_is_found_until_the_end_of_the_block(folder: Path) -> None:
    assert registry.names() == []
    with registry.published("web", exact=False) as found:
        assert (found.name, found.inherited) == ("web", False)
        assert registry.names() == ["web"]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "web.sock").stat().st_mode) == 0o600
        connection = registry.connect("web")
        assert connection is not None
        connection.close()
    assert registry.names() == []
    assert not (folder / "web.sock").exists()


def test_a_second_network_gets_a_number_and_a_chosen_name_is_refused() -> None:
    with registry.published("web", exact=False), registry.published("web", exact=False) as second:
        assert second.name == "web-2"
        assert registry.names() == ["web", "web-2"]
        with pytest.raises(EmulationError, match="a network web is up already"), registry.published("web", exact=True):
            pass
        assert registry.names() == ["web", "web-2"]


def test_the_socket_of_a_killed_network_is_removed_by_the_next_command(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=60)
    assert done.returncode == -9
    assert (folder / "web.sock").exists()
    assert registry.connect("web") is None
    assert registry.names() == []
    assert not (folder / "web.sock").exists()


def test_the_name_of_a_killed_network_is_free() -> None:
    subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=60)
    with registry.published("web", exact=True) as found:
        assert found.name == "web"


@pytest.mark.parametrize("name", ["", "../x", "a b", ".x", "x" * 41, "a/b", "\0"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    assert registry.connect(name) is None
    with pytest.raises(EmulationError, match="cannot be the name"), registry.published(name, exact=True):
        pass


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(MachineError, match="is not this user's alone"), registry.published("web", exact=False):
        pass
    assert registry.names() == []


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match="is not this user's alone"), registry.published("web", exact=False):
        pass


def test_a_network_that_is_not_up_is_told_with_what_to_do() -> None:
    with pytest.raises(
        NotUpError, match="no network web is up: `lab7 ps` lists the networks that are up, and `lab7 up web` starts one"
    ):
        connected("web")


def test_a_network_that_does_not_answer_is_given_up() -> None:
    with registry.published("web", exact=False), pytest.raises(EmulationError, match=r"did not answer within 0\.1 s"):
        ask("web", "info", 0.1)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Channel(near) as one, Channel(far) as other:
        yield one, other


def test_descriptors_come_with_the_last_piece_of_a_long_message(pair: tuple[Channel, Channel]) -> None:
    message = {"text": "x" * 100_000}
    reader, writer = os.pipe()
    pair[0].send(message, [writer])
    os.close(writer)
    came, (descriptor,) = pair[1].receive(10)
    assert came == message
    os.write(descriptor, b"through")
    os.close(descriptor)
    assert os.read(reader, 100) == b"through"
    os.close(reader)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_descriptors_of_a_refused_message_are_closed(pair: tuple[Channel, Channel]) -> None:
    before = open_descriptors()
    with socket.socket(fileno=os.dup(pair[0].fileno())) as raw:
        socket.send_fds(raw, [b"+{"], [0, 1, 2])
        socket.send_fds(raw, [b"."], [0, 1, 2])
    with pytest.raises(ProtocolError):
        pair[1].receive(10)
    assert open_descriptors() == before


def test_a_peer_that_goes_and_one_that_says_nothing_are_told_apart(pair: tuple[Channel, Channel]) -> None:
    with pytest.raises(TimeoutError):
        pair[1].receive(0.01)
    pair[0].close()
    with pytest.raises(ClosedError):
        pair[1].receive(10)
    with pytest.raises(ClosedError):
        pair[1].send({})


def test_a_peer_that_does_not_read_is_given_up(pair: tuple[Channel, Channel]) -> None:
    def fill() -> None:
        for _ in range(1000):
            pair[0].send({"text": "x" * 30_000}, timeout_s=0.05)

    with pytest.raises(ClosedError):
        fill()
