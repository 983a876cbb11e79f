"""Clients that nobody here wrote load a page with pictures through the cache; the second visit stays on the campus."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.measurement import capture_at
from lab7.experiments.http.lab import AT_ORIGIN
from lab7.experiments.http.wire.bulk import crossings
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import PROXY_ADDRESS, WebTopo

PROXY = f"http://{PROXY_ADDRESS}:3128"
PAGE = "http://www.example.com/"
OBJECTS = ("", "ring.png", "wave.png", "style.css")
# A browser that has never run before makes its profile first.
BROWSER_TIMEOUT_S = 60.0
# Without its errands to its maker's hosts, of which there are none here.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Visit = Callable[[Host, Path], None]


def _curl(client: Host, folder: Path) -> None:
    words = [word for name in OBJECTS for word in (PAGE + name, "-o", str(folder / (name or "index.html")))]
    done = client.run(["curl", "-sSf", "-x", PROXY, *words])
    assert done.returncode == 0, done.stderr
    assert {"index.html", *OBJECTS[1:]} <= {path.name for path in folder.iterdir()}


def _wget(client: Host, folder: Path) -> None:
    words = ["wget", "-q", "-e", "robots=off", "-e", "use_proxy=yes", "-e", f"http_proxy={PROXY}"]
    done = client.run([*words, "-p", "-nd", "-P", str(folder), PAGE])
    assert done.returncode == 0, done.stderr
    assert {"index.html", *OBJECTS[1:]} <= {path.name for path in folder.iterdir()}


def _browser(client: Host, folder: Path) -> None:
    """A fresh profile each time, so that the browser's own cache answers nothing."""
    words = ["chromium", *QUIET, f"--user-data-dir={folder}", f"--proxy-server={PROXY}", "--dump-dom", PAGE]
    done = client.run(words, BROWSER_TIMEOUT_S)
    assert b"travelled over an emulated network" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("program", "visit"), [("curl", _curl), ("wget", _wget), ("chromium", _browser)], ids=lambda each: str(each)[:8]
)
def test_the_second_visit_moves_no_object_over_the_access_link(program: str, visit: Visit, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    topo = WebTopo(cache="forward", clients=2, origin_flags="--cache-control '*=max-age=600'", dns="yes")
    with Testbed(topo, links="wire") as web:
        asked = []
        for number, name in enumerate(("client", "client2")):
            path = tmp_path / f"{number}.pcapng"
            folder = tmp_path / name
            folder.mkdir()
            with capture_at(web, path, ["origin"]):
                visit(web.host(name), folder)
            asked.append(_asked_of_the_origin(path))
    assert set(asked[0]) >= {f"/{name}".encode() for name in OBJECTS}
    # A browser looks for an icon that is not there: nobody promised how long it would not be.
    assert set(asked[1]) <= {b"/favicon.ico"}


def _asked_of_the_origin(path: Path) -> Sequence[bytes]:
    # On whatever connection, also one that was opened before the capture.
    return [one.target for one in crossings(read_capture(path).at(AT_ORIGIN), 80).crossings]
