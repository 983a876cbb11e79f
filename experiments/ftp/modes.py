"""Experiment on FTP data connections: active and passive mode, transfer times, and reply codes (claims F1 to F7).

The network has one client, one server and a router in between; one link has a rate and a delay. The client fetches n
small files three times: in one FTP session in active mode, in one in passive mode, and by HTTP/1.1 on one persistent
connection. Each duration is compared with theory, term by term. The client also lists and stores files. Finally,
scripted sessions show the server's state and the causes of the reply codes 331, 125, 425 and 452 (insufficient storage:
the user's disk is filled).

Claims of the course that are decided: the control connection stays open (F1); every transfer has its own data
connection (F2); commands are lines of ASCII (F3); reply codes have real causes (F4); the server keeps session state
(F5); the server opens the data connection in active mode (F6), the client in passive mode (F7).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from mininet.topo import Topo

from lab7.experiments.ftp.claims import connections
from lab7.experiments.ftp.claims import dialogue as ftp_dialogue
from lab7.experiments.ftp.claims.connections import Assignment, What
from lab7.experiments.ftp.lab import (
    AT_CLIENT,
    LOG_IN,
    PASSWORD,
    SPARE_OCTETS,
    TRANSFERS,
    ScriptedClient,
    WebClient,
    client_name,
    ftp_path,
    ftp_testbed,
    run_client,
    server_name,
    supports,
)
from lab7.experiments.ftp.theory import MODES, framing_s, ftp_session
from lab7.experiments.ftp.wire.sessions import FtpSession, FtpTraffic, ftp_traffic
from lab7.experiments.ftp.wire.timing import decompose_session, other_commands, segment_sizes, span_of
from lab7.experiments.harness import clock
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, failed
from lab7.experiments.harness.measurement import LoadFailedError, Window, measured
from lab7.experiments.harness.parameters import megabits, seconds, whole
from lab7.experiments.harness.pathmodel.replay import Sample, terms_of
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.lab import framing_s as http_framing_s
from lab7.experiments.http.lab import has_response, request_size, response_sizes, sample_of, timing
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.testbed import Testbed

HTTP, HTTP_STRATEGY = "HTTP/1.1 persistent", "1.1-persistent"
HTTP_PORT = 80
LETTER, LETTERS = "alice.txt", "letters"
UPLOADS = {mode: f"upload-{mode}.bin" for mode in MODES}
BACK = "back"
BALLAST, LATER = "ballast.bin", "later.bin"
# Two uploads take 3/4 and 1/2 of the disk's free space, so that the second causes reply 452 (disk full).
BALLAST_SHARE, LATER_SHARE = 0.75, 0.5
STATE = "state"
WRONG_PASSWORD = f"{PASSWORD}s"
# Name -> (operation, mode) of the sessions whose time is not measured: list and put in each mode.
BESIDE: dict[str, tuple[What, str]] = {f"{what} {mode}": (what, mode) for mode in MODES for what in ("list", "put")}


@dataclass
class Sessions:
    """FTP and HTTP sessions of a run by name (such as `active`): start and end, and error messages of failed sessions.

    `broken_off` has start and end of failed sessions; `folder` has the names that a listing must have.
    """

    windows: dict[str, list[Window]] = field(default_factory=dict)
    broken_off: dict[str, list[Window]] = field(default_factory=dict)
    folder: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def each(self, traffic: FtpTraffic, *names: str, broken_off: bool = False) -> list[FtpTraffic]:
        """Return the captured traffic of each session with one of these names, one FtpTraffic per session.

        With `broken_off`, failed sessions are included.
        """
        windows = [one for name in names for one in self.windows.get(name, [])]
        windows += [one for name in names for one in self.broken_off.get(name, [])] if broken_off else []
        return [traffic.between(one.start_ns, one.end_ns) for one in windows]

    def of(self, traffic: FtpTraffic, *names: str, broken_off: bool = False) -> FtpTraffic:
        """Return the captured traffic of all sessions with these names as one FtpTraffic.

        With `broken_off`, failed sessions are included.
        """
        parts = self.each(traffic, *names, broken_off=broken_off)
        return FtpTraffic(
            tuple(session for part in parts for session in part.sessions),
            tuple(other for part in parts for other in part.others),
            traffic.dropped,
        )

    def attempt(self, name: str, session: Callable[[], Window]) -> Window | None:
        """Run a session and return its start and end; None if it fails, or if a session of this name failed before."""
        return next(iter(self.attempt_several(name, lambda: [session()])), None)

    def attempt_several(self, name: str, sessions: Callable[[], list[Window]]) -> list[Window]:
        """Run several sessions of one name, and return start and end of each; empty if any session of it has failed."""
        if name in self.failures:
            return []
        began_ns = time.time_ns()
        try:
            return sessions()
        except (EmulationError, LoadFailedError) as error:
            self.failures[name] = str(error)
            self.broken_off.setdefault(name, []).append(Window(began_ns, time.time_ns()))
            return []

    def broken(self, claim: str, names: Sequence[str]) -> Verdict | None:
        """Return the verdict `failed` on a claim if one of these sessions failed, otherwise None."""
        first = next((name for name in names if name in self.failures), None)
        return None if first is None else failed(claim, f"The session {first} was interrupted: {self.failures[first]}.")


def run(context: Run) -> Outcome:
    """Run all FTP sessions, decide claims F1 to F7, and compare durations with theory."""
    asked = context.parameters
    rtt_s, bw = asked["rtt"], asked["bw"]
    files = _files(asked["files"], asked["size"], context.seed)
    letter = Random(f"letter {context.seed}").randbytes(400)
    on_disk = {**files, f"{LETTERS}/{LETTER}": letter}
    beside = ("lab7.services.http.origin --root {home} --listen 0.0.0.0 --port 80",)
    network = ftp_testbed(context, rtt_s, bw, on_disk, beside)
    with measured(context, network, [ftp_path(rtt_s, bw)]) as lab, lab.recording(["client", "server"]):
        sessions = _work(context, lab.bed, list(files), lab.watch)
        _dialogues(context, lab.bed, sessions)
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    traffic = ftp_traffic(captured, AT_CLIENT)
    timings, comparisons = _compare_all(context, captured, lab.bed.topo, traffic, sessions, lab.watch)
    known = {**files, LETTER: letter, **_uploads(context.seed), **_too_much(context.seed)}
    return Outcome(
        claims=_verdicts(traffic, sessions, known, list(files)),
        comparisons=tuple(comparisons),
        fidelity=lab.fidelity(),
        implementations={FTP_SERVER: server_name(context), FTP_CLIENT: client_name(context)},
        timings=timings,
        capture=lab.path.name,
    )


def _files(count: int, size: int, seed: int) -> dict[str, bytes]:
    random = Random(seed)
    return {f"file-{number:03}.bin": random.randbytes(size) for number in range(1, count + 1)}


def _uploads(seed: int) -> dict[str, bytes]:
    return {name: Random(f"{name} {seed}").randbytes(5000) for name in UPLOADS.values()}


def _too_much(seed: int) -> dict[str, bytes]:
    """Return two files (name -> content) that do not fit on the user's disk together, which causes reply 452."""
    random = Random(f"ballast {seed}")
    shares = {BALLAST: BALLAST_SHARE, LATER: LATER_SHARE}
    return {name: random.randbytes(int(share * SPARE_OCTETS)) for name, share in shares.items()}


def _work(context: Run, bed: Testbed, names: Sequence[str], watch: MachineWatch) -> Sessions:
    """Run the measured FTP and HTTP sessions and, in each FTP mode, a session with a listing and one with uploads."""
    done, host = Sessions(), bed.host("client")
    web = WebClient(host)
    (host.workdir / TRANSFERS).mkdir()
    for name, octets in _uploads(context.seed).items():
        (host.workdir / TRANSFERS / name).write_bytes(octets)
    # The first round fetches one file to warm up all programs; the round is captured, but not measured.
    for number in range(context.repeat + 1):
        which = names if number else names[:1]
        for place, way in enumerate((*MODES, HTTP)):
            share = (number + place / 3) / (context.repeat + 1)
            context.step(f"{way}, {number or 'warming up'} of {context.repeat}", 0.1 + 0.5 * share)
            fetch = partial(_fetch, context, host, web, way, which)
            if number:
                done.windows.setdefault(way, []).extend(done.attempt_several(way, partial(watch.samples, fetch)))
            else:
                done.attempt(way, fetch)
    folder = [*names, LETTERS]
    for name, (what, mode) in BESIDE.items():
        context.step(name, 0.62)
        client, stored = context.replacements.get(FTP_CLIENT), [UPLOADS[mode]] if what == "put" else []
        if not supports(client, what, mode):
            continue
        done.folder[name] = list(folder)
        window = done.attempt(name, partial(run_client, host, client, what, mode, stored))
        done.windows[name] = [window] if window else []
        folder += stored if window else []
    if put := [name for name in UPLOADS.values() if name in folder]:
        # Fetch the stored files by another client, since reply 226 proves nothing about their content.
        steps = [*LOG_IN, *(("passive", f"RETR {name}") for name in put), ("say", "QUIT")]
        window = done.attempt(BACK, partial(ScriptedClient(host).session, steps))
        done.windows[BACK], done.folder[BACK] = [window] if window else [], put
    return done


def _fetch(context: Run, host: Host, web: WebClient, way: str, names: Sequence[str]) -> Window:
    if way == HTTP:
        return web.session([f"/{name}" for name in names])
    return run_client(host, context.replacements.get(FTP_CLIENT), "get", way, names)


def _dialogues(context: Run, bed: Testbed, done: Sessions) -> None:
    """Run scripted sessions that cause the replies 331, 125, 425 and 452, and sessions that show the server's state."""
    host, name = bed.host("client"), "file-001.bin"
    ballast, later = host.workdir / BALLAST, host.workdir / LATER
    for each, octets in _too_much(context.seed).items():
        (host.workdir / each).write_bytes(octets)
    begin, quit_ = list(LOG_IN), ("say", "QUIT")
    scripts: dict[str, list[list[tuple[str, ...]]]] = {
        "331": [
            [begin[0], ("say", "PWD"), begin[1], ("say", "PWD"), quit_],
            [begin[0], ("say", f"PASS {WRONG_PASSWORD}"), ("say", "PWD"), quit_],
        ],
        "125": [[*begin, ("early", f"RETR {name}"), ("active", f"RETR {name}"), quit_]],
        "425": [[*begin, ("nobody", f"RETR {name}"), quit_]],
        "452": [
            [
                *begin,
                ("passive", f"STOR {BALLAST}", str(ballast)),
                ("passive", f"STOR {LATER}", str(later)),
                ("say", f"DELE {BALLAST}"),
                ("passive", f"STOR {LATER}", str(later)),
                ("say", f"DELE {LATER}"),
                quit_,
            ]
        ],
        STATE: [
            [
                ("say", "PWD"),
                *begin,
                ("say", "PWD"),
                ("passive", f"RETR {LETTER}"),
                ("say", f"CWD {LETTERS}"),
                ("say", "PWD"),
                ("passive", f"RETR {LETTER}"),
                ("say", "CWD no-such-directory"),
                ("say", "PWD"),
                ("say", "CDUP"),
                ("say", "PWD"),
                ("passive", f"RETR {LETTER}"),
                quit_,
            ],
            [*begin, ("say", "PWD"), ("passive", f"RETR {LETTER}"), quit_],
        ],
    }
    user = ScriptedClient(host)
    for place, (scenario, several) in enumerate(scripts.items()):
        context.step(f"dialogue: {scenario}", 0.65 + 0.05 * place)
        windows = [done.attempt(scenario, partial(user.session, steps)) for steps in several]
        done.windows[scenario] = [one for one in windows if one is not None]


def _compare_all(
    context: Run, captured: CaptureFile, topo: Topo, traffic: FtpTraffic, sessions: Sessions, watch: MachineWatch
) -> tuple[dict[str, list[Timing]], list[Comparison]]:
    """Return (measured durations, comparisons with theory) of the FTP and HTTP sessions.

    The durations are keyed by session name: `active`, `passive`, or that of the HTTP session.
    """
    every = {
        mode: [one for one in sessions.of(traffic, mode).sessions if any(each.done for each in one.transfers)]
        for mode in MODES
        if mode not in sessions.failures
    }
    every = {mode: some for mode, some in every.items() if some}
    web = page_load(captured, AT_CLIENT, (HTTP_PORT,))
    loads = [web.between(one.start_ns, one.end_ns) for one in sessions.windows.get(HTTP, [])]
    loads = loads if all(has_response(load) for load in loads) else []
    samples = {mode: [Sample(AT_CLIENT, *span_of(one)) for one in some] for mode, some in every.items()}
    samples |= {HTTP: [sample_of(load, AT_CLIENT) for load in loads]} if loads else {}
    omitted = terms_of(captured, topo, samples, context.waiting({FTP_SERVER: "server"}))
    timings: dict[str, list[Timing]] = {}
    comparisons: list[Comparison] = []
    for mode, some in every.items():
        parts = [(decompose_session(one), span_of(one)) for one in some]
        timings[mode] = [watch.with_disturbance(Timing(one.total_s, one.terms), *span) for one, span in parts]
        comparisons.append(
            _comparison(context, mode, timings[mode], _ftp_theory(context, mode, some[0], omitted[mode]))
        )
    if loads:
        timings[HTTP] = [timing(load, watch) for load in loads]
        comparisons.append(_comparison(context, HTTP, timings[HTTP], _http_theory(context, loads[0], omitted[HTTP])))
    return timings, comparisons


def _comparison(context: Run, name: str, timings: list[Timing], theory: Theory) -> Comparison:
    return Comparison.of(name, timings, theory, clock.tolerance(tolerance_of_round_trips(context.parameters["rtt"])))


def _ftp_theory(context: Run, mode: str, session: FtpSession, omitted: Mapping[str, float]) -> Theory:
    """Return the theoretical duration of an FTP session, for the captured commands, message sizes and file sizes."""
    said = [len(one.octets) for one in (*session.replies, *(each.command for each in session.exchanges))]
    sizes = [len(one.stream.data) for one in session.transfers if one.done]
    rate_bps, dialogue, mean = (
        context.parameters["bw"] * 1e6,
        len(other_commands(session)),
        round(statistics.mean(said)),
    )
    theory = ftp_session(mode, context.parameters["rtt"], sizes, rate_bps, dialogue, mean)
    if not omitted:
        return theory
    framing = framing_s(*segment_sizes(session), sizes, rate_bps, dialogue, mean)
    return theory.plus({**omitted, "framing": framing})


def _http_theory(context: Run, load: PageLoad, omitted: Mapping[str, float]) -> Theory:
    sizes, rtt_s, rate_bps = response_sizes(load), context.parameters["rtt"], context.parameters["bw"] * 1e6
    theory = http_page_load(HTTP_STRATEGY, rtt_s, sizes, rate_bps, request_size_bytes=request_size(load))
    return theory.plus({**omitted, "framing": http_framing_s(load, rate_bps)}) if omitted else theory


def _assignments(traffic: FtpTraffic, sessions: Sessions, names: Sequence[str]) -> Iterator[Assignment]:
    """Yield for each FTP session the client's task (list, get or put these files) and the captured traffic."""
    for mode in MODES:
        for part in sessions.each(traffic, mode):
            yield Assignment(part, "get", names)
    for name, (what, mode) in BESIDE.items():
        for part in sessions.each(traffic, name):
            yield Assignment(part, what, [UPLOADS[mode]] if what == "put" else [], sessions.folder[name])
    for part in sessions.each(traffic, BACK):
        yield Assignment(part, "get", sessions.folder[BACK])


def _verdicts(
    traffic: FtpTraffic, sessions: Sessions, known: Mapping[str, bytes], files: Sequence[str]
) -> tuple[Verdict, ...]:
    every = {mode: (mode, *(name for name, (_, its) in BESIDE.items() if its == mode)) for mode in MODES}
    names = [name for some in every.values() for name in some]
    whole, every_one = sessions.of(traffic, *names, BACK), sessions.each(traffic, *names, broken_off=True)
    scenarios = {code: sessions.of(traffic, str(code)) for code in ftp_dialogue.CODES}
    verdicts = {
        # Claims F1 and F3 use failed sessions as well: their control connections and commands are evidence.
        "F1": ([], connections.decide_control_connection(every_one)),
        "F2": (
            [*names, BACK],
            connections.decide_data_connections(whole, known, list(_assignments(traffic, sessions, files))),
        ),
        "F3": ([], connections.decide_command_lines(sessions.of(traffic, *names, broken_off=True))),
        "F4": (list(map(str, scenarios)), ftp_dialogue.decide_reply_codes(scenarios, known)),
        "F5": ([STATE], ftp_dialogue.decide_session_state(sessions.of(traffic, STATE), known)),
        "F6": (every["active"], connections.decide_active_mode(sessions.of(traffic, *every["active"]))),
        "F7": (every["passive"], connections.decide_passive_mode(sessions.of(traffic, *every["passive"]))),
    }
    found = [sessions.broken(claim, rests_on) or verdict for claim, (rests_on, verdict) in verdicts.items()]
    return tuple(
        (sessions.broken(one.id, names) or one) if one.verdict == "undecided" and one.id in ("F1", "F3") else one
        for one in found
    )


EXPERIMENT = Experiment(
    name="ftp-modes",
    question="Which side opens the connections of FTP, and what does a separate connection for every file cost?",
    claims=("F1", "F2", "F3", "F4", "F5", "F6", "F7"),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between client and server"),
        "bw": Parameter("10", megabits, "the rate of the link in Mbit/s"),
        "files": Parameter("3", whole(2, 100), "how many files a session fetches", full="20"),
        # The maximum size keeps a file within TCP's initial window, so that no data connection waits in slow start.
        "size": Parameter("4000", whole(100, 14_000), "the size of each file in octets"),
    },
    run=run,
    repeat=2,
    roles=(FTP_SERVER, FTP_CLIENT),
)
