"""Conformance matrix of HTTP caches: the result of each RFC 9111 check (row) for each installed cache (column).

A check is a sequence of client requests and scripted replies of an origin. All checks run concurrently through one
cache in an emulated network: client and cache on the campus, the origin behind the access link. Results come from
captured packets only: the requests that arrive at the origin, and the responses that arrive at the client. The cache's
own reports (Cache-Status, X-Cache) are not used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab7.experiments.cache.conformance import forwarding, reuse, storage, validation
from lab7.experiments.cache.conformance.expectations import judge
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step
from lab7.experiments.cache.conformance.trace import RequestSeen, check_seen, requests_at
from lab7.experiments.harness.implementations.registry import PROXY_PORTS, Implementation, of_role, server_starter
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.matrix import Cell, Matrix, MatrixRun, Place, name_of
from lab7.experiments.harness.measurement import capture_at, make_testbed
from lab7.experiments.http.lab import AT_CLIENT, AT_ORIGIN
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Starter
from lab7.topologies.emulation.watch import ServerDied
from lab7.topologies.web import PROXY_ADDRESS, WebTopo

# The conformance checks of `lab7 matrix cache`, in the order of the rows of the matrix.
CHECKS: tuple[Check, ...] = (*storage.CHECKS, *reuse.CHECKS, *validation.CHECKS, *forwarding.CHECKS)
ORIGIN = "http://www.example.com:80"
ORIGIN_PORT = 80
SCRIPTED_CLIENT = "lab7.experiments.cache.conformance.client"
SCRIPTED_ORIGIN = "lab7.experiments.cache.conformance.origin"
# Time-out in s of all checks on one cache; the slowest check waits for a proxy that retries requests to the origin.
DONE_TIMEOUT_S = 90.0
# Request that is repeated until the cache responds, so that start-up delays affect no check.
WARM_UP = Check("warm-up", "", "required", "", (Step(reply=Reply((("Cache-Control", "no-store"),))),))


def columns() -> list[tuple[Implementation | None, str]]:
    """Return one (cache, proxy mode) pair for each column of the conformance matrix.

    lab7's own cache (None) has two columns, as reverse and forward proxy; every other cache has one, in its first mode.
    """
    return [(None, "reverse"), (None, "forward"), *((one, one.modes[0]) for one in of_role("proxy"))]


def column_name(cache: Implementation | None, mode: str) -> str:
    """Return the heading of a matrix column: the cache's name and proxy mode."""
    return f"{name_of(cache)} {mode}"


def run(context: MatrixRun, checks: Sequence[Check] = CHECKS) -> list[Cell]:
    """Run all checks on one cache after the other; return the cells of the conformance matrix."""
    cells: list[Cell] = []
    for place, (cache, mode) in enumerate(columns()):
        context.step(column_name(cache, mode), place / len(columns()))
        cells += check_cache(context, cache, mode, checks)
    return cells


def check_cache(context: MatrixRun, cache: Implementation | None, mode: str, checks: Sequence[Check]) -> list[Cell]:
    """Run all checks on one cache; return the cells of its column in the conformance matrix.

    The cells are marked as failed if the cache cannot be run.
    """
    name = column_name(cache, mode)
    if cache is not None and not cache.installed():
        return [_place(name, check).not_installed(cache) for check in checks]
    capture_name = f"{name.replace(' ', '-')}.pcapng"
    scripts = Path("/run") / f"checks-{context.folder.name}"
    try:
        _write_scripts(scripts, checks, mode)
        _exchange(context, cache, mode, scripts, context.folder / capture_name)
    except (EmulationError, ServerDied) as error:
        return [_place(name, check).failed(str(error)) for check in checks]
    finally:
        shutil.rmtree(scripts, ignore_errors=True)
    known = cache.known if cache else {}
    return judge_all(name, checks, read_capture(context.folder / capture_name), capture_name, mode, known)


def _write_scripts(folder: Path, checks: Sequence[Check], mode: str) -> None:
    folder.mkdir()
    client = [check.script_of_client(mode == "forward") for check in (WARM_UP, *checks)]
    origin = {check.name: check.script_of_origin() for check in (WARM_UP, *checks)}
    (folder / "client.json").write_text(json.dumps(client), encoding="utf-8")
    (folder / "origin.json").write_text(json.dumps(origin), encoding="utf-8")


def _exchange(context: MatrixRun, cache: Implementation | None, mode: str, scripts: Path, capture: Path) -> None:
    """Run the scripted client, a cache and the scripted origin in an emulated network; capture at client and origin."""
    values: Mapping[str, Any] = {"mode": mode, "origin": ORIGIN}
    origin = [SCRIPTED_ORIGIN, str(scripts / "origin.json"), str(ORIGIN_PORT)]
    starters: dict[str, Starter] = {"origin": lambda host: host.start(origin, wait=False)}
    if cache is not None:
        starters["proxy"] = server_starter(cache, lambda _host: values)
    topo = WebTopo(cache=mode, delay="2ms", bw=100)
    with make_testbed(context, topo, starters) as bed, capture_at(bed, capture, ["client", "origin"]):
        words = [SCRIPTED_CLIENT, str(scripts / "client.json"), PROXY_ADDRESS, str(PROXY_PORTS[mode])]
        client = bed.host("client").start(words)
        client.read_line(DONE_TIMEOUT_S)


def judge_all(
    name: str, checks: Sequence[Check], captured: CaptureFile, capture_name: str, mode: str, known: Mapping[str, str]
) -> list[Cell]:
    """Return one cache's cells of the conformance matrix, decided from the captures at client and origin."""
    if captured.dropped(AT_CLIENT) or captured.dropped(AT_ORIGIN):
        return [_place(name, check).failed("Not decidable: the capture dropped packets.") for check in checks]
    client = requests_at(captured, AT_CLIENT, PROXY_PORTS[mode])
    origin = requests_at(captured, AT_ORIGIN, ORIGIN_PORT)
    return [_judged(name, check, client, origin, capture_name, known) for check in checks]


def _judged(
    name: str,
    check: Check,
    client: list[RequestSeen],
    origin: list[RequestSeen],
    capture_name: str,
    known: Mapping[str, str],
) -> Cell:
    copies = [step.copies for step in check.steps]
    contents = [check.content(number) for number in range(1, len(check.steps) + 1)]
    seen = check_seen(check.name, copies, contents, client, origin)
    word, evidence, frames = judge(seen, check.expected())
    return _place(name, check).cell(word, evidence, frames, capture_name, known.get(check.name))


def _place(name: str, check: Check) -> Place:
    return Place(name, check.name, check.section, check.level, check.says)


MATRIX = Matrix("cache", "Which rules of RFC 9111 does each cache obey?", run, rows="check")
