"""Does every cache do what RFC 9111 requires, and what it allows?

Scenarios of requests and scripted answers of an origin, all side by side through one cache in an emulated network:
client and cache on the campus, the origin behind the access link. Verdicts come from the packets at the client and at
the origin: who was asked what, and what the client got. What a cache says of itself decides nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.cache.conformance import forwarding, reuse, storing, validation
from experiments.cache.conformance.expectations import judge
from experiments.cache.conformance.scenario import Check, Reply, Step
from experiments.cache.conformance.trace import Asked, asked_at, check_seen
from experiments.harness.capture.capture import Capture, CaptureInterface
from experiments.harness.implementations.registry import PROXY_PORTS, Implementation, of_role, server_starter
from experiments.harness.judge.frames import CaptureFile, read_capture
from experiments.harness.matrix import Cell, Matrix, MatrixRun
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Starter, Testbed
from topologies.emulation.watch import ServerDied
from topologies.web import PROXY_ADDRESS, WebTopo

# All checks of `lab7 matrix cache`, by section.

CHECKS: tuple[Check, ...] = (*storing.CHECKS, *reuse.CHECKS, *validation.CHECKS, *forwarding.CHECKS)


OURS = "lab7"
ORIGIN = "http://www.example.com:80"
ORIGIN_PORT = 80
AT_CLIENT, AT_ORIGIN = "client:client-eth0", "origin:origin-eth0"
SCRIPTED_CLIENT = "experiments.cache.conformance.client"
SCRIPTED_ORIGIN = "experiments.cache.conformance.origin"
# The slowest check waits for a proxy that tries an origin again and again; the client gives up before.
DONE_TIMEOUT_S = 90.0
# Not judged: it is repeated until the cache works.
WARM_UP = Check("warm-up", "", "required", "", (Step(reply=Reply((("Cache-Control", "no-store"),))),))


def columns() -> list[tuple[Implementation | None, str]]:
    """Every cache and the mode it is checked in: lab7's (None) in both, others in the first that they know."""
    return [(None, "reverse"), (None, "forward"), *((one, one.modes[0]) for one in of_role("proxy"))]


def called(cache: Implementation | None, mode: str) -> str:
    """What heads a cache's column."""
    return f"{cache.name if cache else OURS} {mode}"


def run(context: MatrixRun, checks: Sequence[Check] = CHECKS) -> list[Cell]:
    """Fill the matrix, a cache at a time."""
    cells: list[Cell] = []
    for place, (cache, mode) in enumerate(columns()):
        context.step(called(cache, mode), place / len(columns()))
        cells += check_cache(context, cache, mode, checks)
    return cells


def check_cache(context: MatrixRun, cache: Implementation | None, mode: str, checks: Sequence[Check]) -> list[Cell]:
    """Put one cache to all checks. Never raises for what a cache does."""
    name = called(cache, mode)
    if cache is not None and not cache.installed():
        how = f"sudo apt-get install {cache.package}"
        return [_cell(name, check, "not installed", how) for check in checks]
    capture_name = f"{name.replace(' ', '-')}.pcapng"
    scripts = Path("/run") / f"checks-{context.folder.name}"
    try:
        _write_scripts(scripts, checks, mode)
        _exchange(context, cache, mode, scripts, context.folder / capture_name)
    except (EmulationError, ServerDied) as error:
        return [_cell(name, check, "fail", str(error)) for check in checks]
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
    """Have the client go through its script by way of the cache, and capture on both sides."""
    values: Mapping[str, Any] = {"mode": mode, "origin": ORIGIN}
    origin = [SCRIPTED_ORIGIN, str(scripts / "origin.json"), str(ORIGIN_PORT)]
    starters: dict[str, Starter] = {"origin": lambda host: host.start(origin, wait=False)}
    if cache is not None:
        starters["proxy"] = server_starter(cache, lambda _host: values)
    topo = WebTopo(cache=mode, delay="2ms", bw=100)
    with Testbed(topo, links=context.links, sandboxed=context.sandboxed, starters=starters) as bed:
        interfaces = [
            CaptureInterface(f"{host}:{host}-eth0", bed.host(host).namespace_pid, f"{host}-eth0")
            for host in ("client", "origin")
        ]
        with Capture(capture, interfaces):
            words = [SCRIPTED_CLIENT, str(scripts / "client.json"), PROXY_ADDRESS, str(PROXY_PORTS[mode])]
            client = bed.host("client").start(words)
            client.read_line(DONE_TIMEOUT_S)


def judge_all(
    name: str, checks: Sequence[Check], captured: CaptureFile, capture_name: str, mode: str, known: Mapping[str, str]
) -> list[Cell]:
    """The cells of one cache, from what was captured at the client and at the origin."""
    if captured.dropped(AT_CLIENT) or captured.dropped(AT_ORIGIN):
        return [_cell(name, check, "fail", "The capture dropped packets: nothing can be said.") for check in checks]
    client = asked_at(captured, AT_CLIENT, PROXY_PORTS[mode])
    origin = asked_at(captured, AT_ORIGIN, ORIGIN_PORT)
    return [_judged(name, check, client, origin, capture_name, known) for check in checks]


def _judged(
    name: str, check: Check, client: list[Asked], origin: list[Asked], capture_name: str, known: Mapping[str, str]
) -> Cell:
    copies = [step.copies for step in check.steps]
    contents = [check.content(number) for number in range(1, len(check.steps) + 1)]
    seen = check_seen(check.name, copies, contents, client, origin)
    word, evidence, frames = judge(seen, check.expected())
    cause = known.get(check.name) if word == "fail" else None
    return Cell(name, check.name, check.section, word, evidence, frames, capture_name, cause, check.level, check.says)


def _cell(name: str, check: Check, word: Any, evidence: str) -> Cell:
    return Cell(name, check.name, check.section, word, evidence, level=check.level, says=check.says)


MATRIX = Matrix("cache", "Does every cache do what RFC 9111 requires, and what it allows?", run, rows="check")
