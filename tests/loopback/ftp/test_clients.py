"""curl, wget, lftp, ncftp and tnftp: both modes, directory trees in both directions, resumed transfers."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.loopback.ftp.support import HOST, PASSWORD, USER, Raw, Server, run, wait_until

LARGE = os.urandom(4096) * 1024
FILES = 500


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}")


def url(server: Server, path: str = "", user: str = f"{USER}:{PASSWORD}@") -> str:
    return f"ftp://{user}{HOST}:{server.port}/{path}"


def digests(folder: Path) -> dict[str, str]:
    """Return the hashes of all files below a directory, by path."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make_tree(folder: Path, files: int = FILES) -> dict[str, str]:
    for number in range(files):
        place = folder / f"d{number % 7}" / f"e{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"f {number}.bin").write_bytes(os.urandom(number * 7))
    return digests(folder)


@needs("curl")
@pytest.mark.parametrize(
    "mode", [["--ftp-pasv"], ["--ftp-port", "-"], ["--ftp-pasv", "--disable-epsv"], ["-P", "-", "--disable-eprt"]]
)
def test_curl_in_each_mode(server: Server, tmp_path: Path, mode: list[str]) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    assert run("curl", "-sS", *mode, "-T", str(tmp_path / "large"), url(server, "new")).returncode == 0
    assert (server.root / "new").read_bytes() == LARGE
    got = run("curl", "-sS", *mode, url(server, "new"))
    assert (got.returncode, got.stdout) == (0, LARGE)
    assert b"a.txt" in run("curl", "-sS", *mode, url(server)).stdout
    assert run("curl", "-sS", *mode, "-l", url(server, "sub/"), "-Q", "MKD n").returncode == 0


@needs("curl")
def test_curl_goes_on_with_a_download(server: Server, tmp_path: Path) -> None:
    (server.root / "large").write_bytes(LARGE)
    (tmp_path / "got").write_bytes(LARGE[:1_000_001])
    assert run("curl", "-sS", "-C", "-", "-o", str(tmp_path / "got"), url(server, "large")).returncode == 0
    assert (tmp_path / "got").read_bytes() == LARGE
    assert server.events("transfer")[-1]["size_bytes"] == len(LARGE) - 1_000_001


def cut_upload(server: Server, name: str, octets: bytes) -> None:
    """Upload some octets and close without QUIT, as a client that dies."""
    with Raw(server.port) as user:
        user.log_in()
        with socket.create_connection(user.passive()) as data:
            assert user.say(f"STOR {name}")[0] in (125, 150)
            data.sendall(octets)
            part = server.root / f".{name}.part"
            wait_until(lambda: part.exists() and part.stat().st_size == len(octets))
            user.file.close()
            user.socket.close()
    wait_until(lambda: [event["outcome"] for event in server.events("transfer")] == ["connection_broken"])


@needs("curl")
def test_curl_goes_on_with_an_upload(server: Server, tmp_path: Path) -> None:
    cut_upload(server, "large", LARGE[:1_000_001])
    assert not (server.root / "large").exists()
    (tmp_path / "large").write_bytes(LARGE)
    assert run("curl", "-sS", "-C", "-", "-T", str(tmp_path / "large"), url(server, "large")).returncode == 0
    assert (server.root / "large").read_bytes() == LARGE
    assert server.events("transfer")[-1]["size_bytes"] == len(LARGE) - 1_000_001


@needs("lftp")
def test_lftp_goes_on_with_an_upload(server: Server, tmp_path: Path) -> None:
    cut_upload(server, "large", LARGE[:1_000_001])
    (tmp_path / "large").write_bytes(LARGE)
    assert run("lftp", "-c", f"open {url(server)}; put -c {tmp_path / 'large'} -o large").returncode == 0
    assert (server.root / "large").read_bytes() == LARGE
    assert server.events("transfer")[-1]["size_bytes"] == len(LARGE) - 1_000_001


@needs("lftp")
@pytest.mark.parametrize("passive", ["true", "false"])
def test_lftp_mirrors_a_tree_both_ways(server: Server, tmp_path: Path, passive: str) -> None:
    expected = make_tree(tmp_path / "tree")
    settings = f"set ftp:passive-mode {passive}; set ftp:prefer-epsv no; open {url(server)}"
    up = run("lftp", "-c", f"{settings}; mirror -R --parallel=4 {tmp_path / 'tree'} tree")
    assert up.returncode == 0, up.stderr
    assert digests(server.root / "tree") == expected
    down = run("lftp", "-c", f"{settings}; mirror --parallel=4 tree {tmp_path / 'back'}")
    assert down.returncode == 0, down.stderr
    assert digests(tmp_path / "back") == expected


@needs("lftp")
def test_lftp_keeps_times_and_odd_names(server: Server, tmp_path: Path) -> None:
    names = ["plain", "a\tb", "n" * 255]
    (tmp_path / "tree").mkdir()
    for number, name in enumerate(names):
        (tmp_path / "tree" / name).write_text(name)
        os.utime(tmp_path / "tree" / name, (number, 1_000_000_000 + number))
    up = run("lftp", "-c", f"open {url(server)}; mirror -R {tmp_path / 'tree'} tree")
    assert up.returncode == 0, up.stderr
    times = {name: (server.root / "tree" / name).stat().st_mtime for name in names}
    assert times == {name: 1_000_000_000 + number for number, name in enumerate(names)}
    down = run("lftp", "-c", f"open {url(server)}; mirror tree {tmp_path / 'back'}")
    assert down.returncode == 0, down.stderr
    assert digests(tmp_path / "back") == digests(tmp_path / "tree")


@needs("wget")
@pytest.mark.parametrize("mode", [[], ["--no-passive-ftp"]])
def test_wget_gets_a_tree(server: Server, tmp_path: Path, mode: list[str]) -> None:
    expected = make_tree(server.root / "tree")
    got = run("wget", "-q", "-r", "-l", "9", "-nH", *mode, "-P", str(tmp_path / "got"), url(server, "tree/"))
    assert got.returncode == 0, got.stderr
    assert digests(tmp_path / "got" / "tree") == expected


@needs("wget")
def test_wget_goes_on_with_a_download(server: Server, tmp_path: Path) -> None:
    (server.root / "large").write_bytes(LARGE)
    (tmp_path / "large").write_bytes(LARGE[:999])
    assert run("wget", "-q", "-c", url(server, "large"), cwd=tmp_path).returncode == 0
    assert (tmp_path / "large").read_bytes() == LARGE


@needs("ncftpput")
def test_ncftp_copies_a_tree_both_ways(server: Server, tmp_path: Path) -> None:
    expected = make_tree(tmp_path / "tree", 60)
    who = ("-V", "-u", USER, "-p", PASSWORD, "-P", str(server.port), "-R", HOST)
    up = run("ncftpput", *who, "/", str(tmp_path / "tree"))
    assert up.returncode == 0, up.stderr
    assert digests(server.root / "tree") == expected
    (tmp_path / "back").mkdir()
    down = run("ncftpget", *who, str(tmp_path / "back"), "/tree")
    assert down.returncode == 0, down.stderr
    assert digests(tmp_path / "back" / "tree") == expected


@needs("tnftp")
@pytest.mark.parametrize("passive", ["on", "off"])
def test_tnftp_in_each_mode(server: Server, tmp_path: Path, passive: str) -> None:
    (tmp_path / "new").write_bytes(LARGE)
    (tmp_path / "cut").write_bytes(LARGE[:1_000_001])
    (server.root / "cut").write_bytes(LARGE)
    commands = (
        f"user {USER} {PASSWORD}",
        f"passive {passive}",
        "binary",
        "put new",
        "get new back",
        "reget cut",
        "append new cut",
        "sunique",
        "put new",
        "rename new old",
        "ls sub",
        "quit",
    )
    (tmp_path / "commands").write_text("\n".join(commands) + "\n")
    with open(tmp_path / "commands", "rb") as lines:
        got = run("tnftp", "-n", "-v", HOST, str(server.port), cwd=tmp_path, stdin=lines)
    assert b"FILE: /new.1" in got.stdout
    assert [(tmp_path / name).read_bytes() == LARGE for name in ("back", "cut")] == [True, True]
    assert (server.root / "cut").read_bytes() == LARGE * 2
    assert [(server.root / name).read_bytes() == LARGE for name in ("old", "new.1")] == [True, True]
    assert not (server.root / "new").exists()
