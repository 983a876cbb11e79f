import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.http.support import HOST, origin_process, run

# 1994-11-06 08:49:37 UTC, the RFC's own example.
OLD = 784_111_777
LARGE_OCTETS = 8 * 1024 * 1024


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("secret")
    (folder / "index.html").write_text('<img src="a.txt"><script src="sub/b.js"></script>')
    (folder / "a.txt").write_bytes(b"0123456789")
    (folder / "sub").mkdir()
    (folder / "sub" / "index.html").write_text("below")
    (folder / "sub" / "b.js").write_text("1")
    (folder / "sub" / "a b.txt").write_text("space")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "large.bin").write_bytes(os.urandom(1024) * (LARGE_OCTETS // 1024))
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "outdir").symlink_to(outside)
    for path in (*folder.rglob("*.txt"), folder / "large.bin", folder / "index.html"):
        os.utime(path, (OLD, OLD))
    return folder


@pytest.fixture(scope="session")
def port(root: Path) -> Iterator[int]:
    with origin_process(root, "--echo", "/echo") as port:
        yield port


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate_file = str(folder / "key"), str(folder / "certificate")
    flags = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=origin", "-days", "2")
    run("openssl", *flags, "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", certificate_file)
    return certificate_file, key
