"""What does somebody on the path learn from a file transfer?  (claims F8 and F9)

A third host at a mirror port sees the client's traffic. The client fetches a file by FTP, and the same file from the
same server with the same password by SFTP (OpenSSH, or asyncssh where there is none). From the third host's frames
alone, and by the same search in both, user, password and file are to be recovered; what encryption still lets through
is said.

No time is compared: how long a transfer took is said as what encryption lets through, whatever took part in it. So what
disturbed it is not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from experiments.ftp.claims.eavesdrop import Overheard, Secret, decide_eavesdropping, decide_encryption, eavesdrop
from experiments.ftp.lab import (
    ANY,
    ASYNCSSH,
    AT_EVE,
    CAPTURE_NAME,
    OPENSSH,
    PASSWORD,
    TRANSFERS,
    USER,
    add_sftp_server,
    capture_at,
    client_name,
    ftp_path,
    ftp_testbed,
    run_client,
    run_sftp,
    server_name,
    ssh_name,
    which_ssh,
)
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from experiments.harness.fidelity.certificate import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER, SFTP_SERVER
from experiments.harness.judge.frames import read_capture
from experiments.harness.judge.verdict import Verdict, undecided
from experiments.harness.measurement import LoadFailedError, Window
from experiments.harness.parameters import megabits, seconds, whole
from topologies.emulation.errors import EmulationError, MachineError
from topologies.emulation.testbed import Testbed
from topologies.ftp import EVE_ADDRESS

FILE = "customers-2031.bin"
FTP, SFTP = "FTP", "SFTP"


@dataclass
class Fetched:
    """When the file was fetched, by what; what then lay on the client's disk; and what kept it from being fetched."""

    windows: dict[str, Window] = field(default_factory=dict)
    arrived: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def heard(self, everything: Overheard, way: str) -> Overheard:
        """What the third host saw of one of the transfers."""
        window = self.windows.get(way, Window(0, 0))
        return everything.between(window.start_ns, window.end_ns)


def run(context: Run) -> Outcome:
    """Fetch by both, listen, judge."""
    asked = context.parameters
    secret = Secret(USER, PASSWORD, FILE, Random(context.seed).randbytes(asked["size"]))
    with ftp_testbed(context, asked["rtt"], asked["bw"], {FILE: secret.content}) as bed:
        context.step("measuring the path", 0.1)
        checks = probe_path(bed, ftp_path(asked["rtt"], asked["bw"]))
        with MachineWatch() as watch, capture_at(bed, context.folder / CAPTURE_NAME, ["eve"]) as capture:
            fetched = _fetch(context, bed)
    context.step("judging the packets", 0.8)
    everything = eavesdrop(read_capture(context.folder / CAPTURE_NAME), AT_EVE, EVE_ADDRESS)
    return Outcome(
        claims=_verdicts(everything, fetched, secret),
        comparisons=(),
        fidelity=certificate([*checks, *watch.checks(times=False), *capture_checks(capture.statistics)]),
        implementations={
            FTP_SERVER: server_name(context),
            FTP_CLIENT: client_name(context),
            SFTP_SERVER: ssh_name(asked["ssh"]),
        },
        capture=CAPTURE_NAME,
    )


def _fetch(context: Run, bed: Testbed) -> Fetched:
    client, done = bed.host("client"), Fetched()
    path = client.workdir / TRANSFERS / FILE

    def by_sftp() -> Window:
        path.unlink(missing_ok=True)
        add_sftp_server(bed.host("server"), context.parameters["ssh"])
        return run_sftp(client, FILE, context.parameters["ssh"])

    ways: dict[str, Callable[[], Window]] = {
        FTP: lambda: run_client(
            client, context.replacements.get(FTP_CLIENT), "get", context.parameters["mode"], [FILE]
        ),
        SFTP: by_sftp,
    }
    for place, (way, fetch) in enumerate(ways.items()):
        context.step(f"by {way}", 0.3 + 0.3 * place)
        try:
            done.windows[way] = fetch()
            done.arrived[way] = path.read_bytes()
        except (EmulationError, MachineError, LoadFailedError, OSError) as error:
            done.failures[way] = str(error)
    return done


def _verdicts(everything: Overheard, fetched: Fetched, secret: Secret) -> tuple[Verdict, ...]:
    ftp, sftp = (fetched.heard(everything, way) for way in (FTP, SFTP))
    verdicts = (decide_eavesdropping(ftp, secret), decide_encryption(sftp, ftp, secret, fetched.arrived.get(SFTP, b"")))
    return tuple(
        undecided(verdict.id, f"The file was not fetched by {way}: {fetched.failures[way]}.")
        if way in fetched.failures
        else verdict
        for way, verdict in zip((FTP, SFTP), verdicts, strict=True)
    )


def _ssh(text: str) -> str:
    if text not in (ANY, OPENSSH, ASYNCSSH):
        raise ValueError(f"it takes {ANY}, {OPENSSH} or {ASYNCSSH}")
    return which_ssh(text)


def _mode(text: str) -> str:
    if text not in ("active", "passive"):
        raise ValueError("it takes active or passive")
    return text


EXPERIMENT = Experiment(
    name="ftp-eavesdrop",
    question="What does somebody on the path learn from a file transfer?",
    claims=("F8", "F9"),
    parameters={
        "rtt": Parameter("20ms", seconds, "the round-trip time between client and server"),
        "bw": Parameter("10", megabits, "the rate of the link in Mbit/s"),
        "size": Parameter("100000", whole(1000, 10_000_000), "the size of the file in octets"),
        "ssh": Parameter(ANY, _ssh, f"what SFTP is by: {OPENSSH}, {ASYNCSSH}, or {ANY}: the first that is there"),
        "mode": Parameter("passive", _mode, "how FTP transfers it, active or passive"),
    },
    run=run,
    repeat=1,
    roles=(FTP_SERVER, FTP_CLIENT),
)
