"""Peers that attack, flood, stall or die: refused, logged and bounded, without harm to others (RFC 2577)."""

from __future__ import annotations

import ftplib
import io
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from tests.loopback.ftp.support import HOST, OTHER_HOST, PATIENCE_S, Raw, Server, server_process, wait_until

LARGE = os.urandom(4096) * 1024


def others_go_on(server: Server) -> None:
    with server.ftplib("anonymous", "x") as client:
        got = io.BytesIO()
        client.retrbinary("RETR a.txt", got.write)
        assert got.getvalue() == b"one\ntwo\n"


def test_a_bounce_is_refused(server: Server) -> None:
    with socket.create_server((OTHER_HOST, 0)) as victim, Raw(server.port) as user:
        port = victim.getsockname()[1]
        user.log_in()
        commands = (f"PORT 127,0,0,2,{port >> 8},{port & 255}", "PORT 127,0,0,1,0,22", "LIST")
        assert user.say(*commands) == [504, 504, 150]
        # To the client's control port, without a listener.
        assert user.reply().startswith("425")
        victim.settimeout(0.2)
        with pytest.raises(TimeoutError):
            victim.accept()
    assert [event["asked_port"] for event in server.events("bounce_refused")] == [port, 22]


def test_a_stranger_gets_no_data_and_keeps_nobody_out(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        address = user.passive()
        with socket.create_connection(address, PATIENCE_S, source_address=(OTHER_HOST, 0)) as stranger:
            assert user.say("RETR a.txt") == [150]
            assert stranger.recv(100) == b""
            with socket.create_connection(address, PATIENCE_S) as own:
                assert own.recv(100) == b"one\ntwo\n"
                assert user.reply().startswith("226")
    (refused,) = server.events("data_connection_refused")
    assert (refused["peer"], refused["expected"]) == (OTHER_HOST, HOST)


def test_many_strangers_end_the_port_with_425(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        address = user.passive()
        user.socket.sendall(b"RETR a.txt\r\n")
        for _ in range(70):
            try:
                with socket.create_connection(address, PATIENCE_S, source_address=(OTHER_HOST, 0)) as stranger:
                    stranger.recv(1)
            except ConnectionError:
                continue
        assert [user.reply()[:3] for _ in range(2)] == ["150", "425"]
    others_go_on(server)


def test_nobody_at_the_passive_port_is_425(tmp_path: Path) -> None:
    with server_process(tmp_path, tmp_path / "log", "--connect-timeout", "0.2") as server, Raw(server.port) as user:
        user.log_in()
        user.passive()
        assert user.say("LIST") == [150]
        assert user.reply().startswith("425")


def test_a_passive_port_is_of_the_range_and_425_when_all_are_used(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as probe:
        low = probe.getsockname()[1]
    flags = ("--passive-ports", f"{low}-{low}")
    with server_process(tmp_path, tmp_path / "log", *flags) as server, Raw(server.port) as first:
        first.log_in()
        assert first.passive()[1] == low
        with Raw(server.port) as second:
            second.log_in()
            assert second.say("EPSV") == [425]
            assert first.say("ABOR") == [226]
            assert second.passive()[1] == low


def perform(client: ftplib.FTP, verb: str, text: str, data: io.BytesIO) -> None:
    if verb == "STOR":
        client.storbinary(text, io.BytesIO(b"x"))
    elif verb in ("RETR", "LIST", "NLST"):
        client.retrbinary(text, data.write)
    else:
        client.sendcmd(text)


@pytest.mark.parametrize(
    "command",
    [
        "RETR ../outside/secret.txt",
        "RETR /../outside/secret.txt",
        "RETR {outside}",
        "RETR out.txt",
        "STOR ../outside/made",
        "CWD ..",
        "MKD ../outside/made",
        "SIZE ../outside/secret.txt",
        "LIST ../outside",
        "NLST ../outside/*",
    ],
)
def test_no_path_leaves_the_root(server: Server, command: str) -> None:
    outside = server.root.parent / "outside"
    with server.ftplib() as client:
        data = io.BytesIO()
        verb = command.split()[0]
        text = command.format(outside=outside / "secret.txt")
        if command == "CWD ..":
            # At the root, .. is the root.
            assert client.sendcmd(text).startswith("250")
        else:
            with pytest.raises(ftplib.error_perm, match=r"55[03]"):
                perform(client, verb, text, data)
        assert b"secret" not in data.getvalue()
        assert client.pwd() == "/"
    assert [path.name for path in outside.iterdir()] == ["secret.txt"]


def test_an_endless_line_is_bounded(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        for _ in range(500):
            user.socket.sendall(b"x" * 65_536)
        assert user.say("\r\nNOOP")[0] == 500
        memory = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096
        assert memory < 150 * 1024 * 1024
        others_go_on(server)


def test_a_flood_of_commands_is_slowed_and_others_go_on(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        user.socket.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += user.socket.send(b"NOOP\r\n" * 10_000)
        except BlockingIOError:
            pass
        others_go_on(server)
        wait_until(lambda: server.events("flood"))
        others_go_on(server)


def test_errors_without_end_end_the_session(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        user.socket.sendall(b"\xff\xfe\x80\r\n" * 200)
        last = ""
        while line := user.reply():
            last = line
        assert last.startswith("421")


def test_telnet_octets_are_refused_and_followed(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        user.socket.sendall(b"\xff\xfb\x01" + b"\xff\xf4\xff")
        user.socket.send(b"\xf2", socket.MSG_OOB)
        user.socket.sendall(b"ABOR\r\n")
        assert user.file.readline() == b"\xff\xfe\x01226 No transfer to abort; no data connection open.\r\n"


def test_a_glob_that_explodes_elsewhere_costs_nothing(server: Server) -> None:
    (server.root / ("a" * 250)).touch()
    with server.ftplib() as client:
        assert client.nlst("*a" * 1000 + "b") == []
    others_go_on(server)


def test_a_stalled_download_ends_with_426(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE * 8)
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    with server_process(tmp_path, tmp_path / "log", "--stall-timeout", "0.3") as server, Raw(server.port) as user:
        user.log_in()
        with socket.create_connection(user.passive()):
            assert user.say("RETR large")[0] in (125, 150)
            others_go_on(server)
            assert user.reply().startswith("426")


def test_an_idle_session_ends_with_421(tmp_path: Path) -> None:
    with server_process(tmp_path, tmp_path / "log", "--idle", "0.3") as server, Raw(server.port) as user:
        user.log_in()
        assert user.reply().startswith("421")
        assert user.reply() == ""


def test_sessions_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    flags = ("--max-sessions", "3", "--max-per-address", "2")
    with server_process(tmp_path, tmp_path / "log", *flags) as server:
        with Raw(server.port) as first, Raw(server.port) as second, Raw(server.port) as third:
            assert [user.reply()[:3] for user in (first, second, third)] == ["220", "220", "421"]
            with Raw(server.port, OTHER_HOST) as fourth, Raw(server.port, "127.0.0.3") as fifth:
                assert [user.reply()[:3] for user in (fourth, fifth)] == ["220", "220"]
                # All are in use, and none is logged in: one of the address with the most is evicted.
                assert first.reply()[:3] == "421"
        wait_until(lambda: len(server.events("session_end")) == 4)
        others_go_on(server)


# Aborted uploads.


def begin_upload(user: Raw, name: str, octets: bytes) -> socket.socket:
    data = socket.create_connection(user.passive(), PATIENCE_S)
    assert user.say(f"STOR {name}")[0] in (125, 150)
    data.sendall(octets)
    return data


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_reset_data_connection_is_426_and_leaves_the_old_file(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        reset(begin_upload(user, "a.txt", LARGE))
        assert user.reply().startswith("426")
        assert user.say("NOOP") == [200]
    assert (server.root / "a.txt").read_bytes() == b"one\ntwo\n"


def test_abor_during_an_upload_is_426_then_226(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        with begin_upload(user, "a.txt", b"new"):
            assert user.say("ABOR") == [426]
            assert user.reply().startswith("226")
    assert (server.root / "a.txt").read_bytes() == b"one\ntwo\n"


def test_an_upload_whose_user_dies_leaves_the_old_file(server: Server) -> None:
    user = Raw(server.port)
    user.log_in()
    data = begin_upload(user, "a.txt", b"half of it")
    part = server.root / ".a.txt.part"
    wait_until(lambda: part.exists() and part.stat().st_size == 10)
    # As the kernel does when a process dies: descriptors are closed in their order.
    user.__exit__()
    data.close()
    wait_until(lambda: server.events("transfer"))
    assert server.events("transfer")[0]["outcome"] == "connection_broken"
    assert (server.root / "a.txt").read_bytes() == b"one\ntwo\n"
    assert part.read_bytes() == b"half of it"


def test_a_server_that_is_killed_leaves_the_old_file_and_rest_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "home"
    root.mkdir()
    (root / "a.txt").write_bytes(b"old")
    with server_process(root, tmp_path / "log") as server, Raw(server.port) as user:
        user.log_in()
        with begin_upload(user, "a.txt", LARGE):
            part = root / ".a.txt.part"
            wait_until(lambda: part.exists() and part.stat().st_size > 100_000)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    assert (root / "a.txt").read_bytes() == b"old"
    with server_process(root, tmp_path / "log") as server, server.ftplib() as client:
        client.voidcmd("TYPE I")
        there = client.size(".a.txt.part")
        assert there is not None
        assert LARGE.startswith(part.read_bytes())
        client.storbinary("STOR a.txt", io.BytesIO(LARGE[there:]), rest=there)
    assert (root / "a.txt").read_bytes() == LARGE


def test_readers_see_the_old_file_until_the_new_one_is_there(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        with begin_upload(user, "a.txt", LARGE):
            others_go_on(server)
        assert user.reply().startswith("226")
    assert (server.root / "a.txt").read_bytes() == LARGE


def test_sigterm_says_421_and_keeps_what_came(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        with begin_upload(user, "a.txt", b"half"):
            wait_until(lambda: (server.root / ".a.txt.part").exists())
            server.process.send_signal(signal.SIGTERM)
            assert user.reply().startswith("421")
            assert server.process.wait(PATIENCE_S) == 0
    assert (server.root / "a.txt").read_bytes() == b"one\ntwo\n"
