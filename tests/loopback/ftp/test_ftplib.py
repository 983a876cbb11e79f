"""Every verb by ftplib, and transfers in both directions and modes."""

from __future__ import annotations

import ftplib
import io
import os
import socket
from pathlib import Path

import pytest

from tests.loopback.ftp.support import HOST, PASSWORD, USER, Raw, Server, run, server_process, wait_until

LARGE = os.urandom(1024) * 4096


@pytest.mark.parametrize("passive", [True, False])
@pytest.mark.parametrize("extended", [True, False])
def test_files_both_ways(server: Server, passive: bool, extended: bool) -> None:
    with server.ftplib() as client:
        client.set_pasv(passive)
        if extended:
            # ftplib uses EPRT and EPSV over IPv6.
            client.af = socket.AF_INET6
            if not passive:
                client.makeport = _eprt(client)  # type: ignore[method-assign]
        assert client.storbinary("STOR large", io.BytesIO(LARGE)).startswith("226")
        assert (server.root / "large").read_bytes() == LARGE
        got = io.BytesIO()
        assert client.retrbinary("RETR large", got.write).startswith("226")
        assert got.getvalue() == LARGE


def _eprt(client: ftplib.FTP):  # type: ignore[no-untyped-def]
    def makeport() -> socket.socket:
        listener = socket.create_server((HOST, 0))
        client.voidcmd(f"EPRT |1|{HOST}|{listener.getsockname()[1]}|")
        listener.settimeout(20)
        return listener

    return makeport


def test_active_mode_comes_from_the_port_below(server: Server) -> None:
    with server.ftplib() as client, socket.create_server((HOST, 0)) as listener:
        client.sendport(HOST, listener.getsockname()[1])
        assert client.sendcmd("RETR a.txt").startswith("150")
        listener.settimeout(20)
        connection, address = listener.accept()
        connection.close()
        assert client.getresp()[:3] in ("226", "426")
        assert address == (HOST, server.port - 1)


def test_without_port_and_pasv_it_goes_to_the_control_port(server: Server) -> None:
    """RFC 959 section 3.2: from L-1 to U, the default data ports."""
    with socket.socket() as control, socket.socket() as listener:
        for one in (control, listener):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.settimeout(20)
        control.bind((HOST, 0))
        control.connect((HOST, server.port))
        listener.bind(control.getsockname())
        listener.listen()
        client = ftplib.FTP(timeout=20)
        client.sock, client.file = control, control.makefile("r", encoding="utf-8")
        assert client.getresp().startswith("220")
        client.login(USER, PASSWORD)
        client.voidcmd("TYPE I")
        assert client.sendcmd("RETR a.txt").startswith("150")
        connection, address = listener.accept()
        with connection:
            assert address == (HOST, server.port - 1)
            assert connection.recv(100) == b"one\ntwo\n"
        assert client.getresp().startswith("226")
        client.file.close()


def test_directories_and_files(server: Server) -> None:
    with server.ftplib() as client:
        assert client.sendcmd("SYST") == "215 UNIX Type: L8"
        assert client.mkd("d") == "/d"
        client.cwd("d")
        assert client.pwd() == "/d"
        client.storlines("STOR t", io.BytesIO(b"1\n2\n"))
        assert (server.root / "d" / "t").read_bytes() == b"1\n2\n"
        lines: list[str] = []
        client.retrlines("RETR t", lines.append)
        assert lines == ["1", "2"]
        client.storbinary("APPE t", io.BytesIO(b"3\n"))
        client.voidcmd("TYPE I")
        assert client.size("t") == 6
        client.rename("t", "u")
        assert client.nlst() == ["u"]
        assert [(name, facts["type"], facts["size"]) for name, facts in client.mlsd()] == [("u", "file", "6")]
        assert client.storbinary("STOU", io.BytesIO(b"x")).startswith("226")
        listed: list[str] = []
        client.dir(listed.append)
        assert sorted(line.split()[-1] for line in listed) == ["u", "upload"]
        client.delete("u")
        client.delete("upload")
        client.cwd("..")
        client.rmd("d")


def test_what_has_no_data_connection(server: Server) -> None:
    with server.ftplib() as client:
        for verb, code in (("STAT", "211"), ("STAT a.txt", "213"), ("STAT .", "212"), ("HELP", "214"), ("FEAT", "211")):
            assert client.sendcmd(verb)[:3] == code
        assert client.sendcmd("MDTM a.txt").startswith("213 2")
        assert "type=file" in client.sendcmd("MLST a.txt")
        verbs = ("NOOP", "MODE S", "STRU F", "ALLO 10", "OPTS UTF8 ON", "SITE CHMOD 600 a.txt", "XMKD e", "XCWD e")
        for verb in (*verbs, "XPWD", "XCUP", "XRMD e"):
            assert client.voidcmd(verb).startswith("2")
        assert (server.root / "a.txt").stat().st_mode & 0o777 == 0o600
        assert client.voidcmd("REIN").startswith("220")
        client.login()
        assert "a.txt" in client.nlst()
        client.quit()


def test_abort_sends_urgent_octets(server: Server) -> None:
    (server.root / "large").write_bytes(LARGE * 8)
    with server.ftplib() as client:
        client.voidcmd("TYPE I")
        data = client.transfercmd("RETR large")
        data.recv(1000)
        assert client.abort()[:3] in ("426", "226")
        data.close()
        assert client.getresp().startswith("226")
        assert client.voidcmd("NOOP").startswith("200")


def test_225_is_for_a_connection_without_a_transfer(server: Server) -> None:
    with Raw(server.port) as user:
        user.log_in()
        with socket.create_connection(user.passive()):
            wait_until(lambda: user.say("STAT")[0] == 211)
            codes = user.say("ABOR")
        assert codes[0] in (225, 226)
        address = user.passive()
        with socket.create_connection(address):
            # 125: the server has accepted the connection, so that ABOR closes it.
            assert user.say("RETR a.txt") in ([125], [150])


def test_anonymous_users_read(server: Server) -> None:
    with server.ftplib("anonymous", "guest@") as client:
        got = io.BytesIO()
        client.retrbinary("RETR a.txt", got.write)
        assert got.getvalue() == b"one\ntwo\n"
        with pytest.raises(ftplib.error_perm, match="553"):
            client.storbinary("STOR x", io.BytesIO(b"x"))


def test_wrong_passwords_end_a_session(server: Server) -> None:
    with Raw(server.port) as user:
        assert user.reply().startswith("220")
        for code in (530, 530, 421):
            assert user.say("USER ann", "PASS wrong") == [331, code]
        assert user.reply() == ""
    assert len(server.events("login_refused")) == 3


def test_no_connection_is_425(server: Server) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with Raw(server.port) as user:
        user.log_in()
        assert user.say(f"PORT 127,0,0,1,{port >> 8},{port & 255}", "RETR a.txt") == [200, 150]
        assert user.reply().startswith("425")


def test_users_of_a_file_have_homes_and_quotas(tmp_path: Path) -> None:
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "old").write_bytes(bytes(600))
    users = tmp_path / "users.toml"
    users.write_text('[users.bob]\npassword = "plain:x"\nhome = "bob"\nquota = 1000\n')
    flags = ("--users", os.fspath(users))
    with server_process(tmp_path, tmp_path / "log", *flags) as server, server.ftplib("bob", "x") as client:
        with pytest.raises(ftplib.error_perm, match="552"):
            client.storbinary("STOR new", io.BytesIO(bytes(500)))
        assert client.nlst() == ["old"]
        client.storbinary("STOR new", io.BytesIO(bytes(400)))
        with pytest.raises(ftplib.error_temp, match="452"):
            client.storbinary("STOR more", io.BytesIO(b"x"))


@pytest.mark.skipif(run("unshare", "-m", "true").returncode != 0, reason="needs a mount namespace")
def test_a_full_disk_is_452_and_leaves_the_old_file(tmp_path: Path) -> None:
    small_disk = (
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount -t tmpfs -o size=1m none "$0" && echo old > "$0/a.txt" && exec "$@"',
    )
    prefix = (*small_disk, os.fspath(tmp_path / "disk"))
    (tmp_path / "disk").mkdir()
    with (
        server_process(tmp_path / "disk", tmp_path / "log", prefix=prefix) as server,
        server.ftplib() as client,
    ):
        with pytest.raises(ftplib.error_temp, match="452"):
            client.storbinary("STOR a.txt", io.BytesIO(LARGE))
        lines: list[str] = []
        client.retrlines("RETR a.txt", lines.append)
        assert lines == ["old"]
        assert client.voidcmd("DELE .a.txt.part").startswith("250")
