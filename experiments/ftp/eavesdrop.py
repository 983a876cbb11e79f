"""Experiment on eavesdropping: credentials and content of FTP and SFTP transfers in captured frames (claims F8, F9).

A third host at a mirror port of the switch captures the client's traffic. The client fetches a file by FTP, and then
the same file from the same server with the same password by SFTP (OpenSSH, or asyncssh if OpenSSH is not installed).
The captured frames of both transfers are searched for user name, password and file. The verdict also lists the
properties that encryption leaves visible, such as the duration of a transfer; durations are not compared with theory.

Claims of the course that are decided: FTP sends passwords in plain text (F8); with SFTP, an eavesdropper learns neither
passwords nor files (F9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from lab7.experiments.ftp.claims.eavesdrop import Overheard, Secret, decide_eavesdropping, decide_encryption, eavesdrop
from lab7.experiments.ftp.lab import (
    ANY,
    ASYNCSSH,
    AT_EVE,
    OPENSSH,
    PASSWORD,
    TRANSFERS,
    USER,
    add_sftp_server,
    choose_ssh,
    client_name,
    ftp_path,
    ftp_testbed,
    run_client,
    run_sftp,
    server_name,
    ssh_name,
)
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER, SFTP_SERVER
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.judge.verdict import Verdict, undecided
from lab7.experiments.harness.measurement import LoadFailedError, Window, measured
from lab7.experiments.harness.parameters import megabits, one_of, seconds, whole
from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.ftp import EVE_ADDRESS

FILE = "customers-2031.bin"
FTP, SFTP = "FTP", "SFTP"


@dataclass
class Transfers:
    """File transfers by protocol (FTP, SFTP): start and end, content of the client's copy, and error message."""

    windows: dict[str, Window] = field(default_factory=dict)
    arrived: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def heard(self, everything: Overheard, way: str) -> Overheard:
        """Return the connections that the eavesdropper captured during the transfer by the protocol `way`."""
        window = self.windows.get(way, Window(0, 0))
        return everything.between(window.start_ns, window.end_ns)


def run(context: Run) -> Outcome:
    """Fetch a file by FTP and by SFTP while a third host captures frames; decide claims F8 and F9."""
    asked = context.parameters
    secret = Secret(USER, PASSWORD, FILE, Random(context.seed).randbytes(asked["size"]))
    network = ftp_testbed(context, asked["rtt"], asked["bw"], {FILE: secret.content})
    with measured(context, network, [ftp_path(asked["rtt"], asked["bw"])]) as lab, lab.recording(["eve"]):
        fetched = _fetch(context, lab.bed)
    context.step("judging the packets", 0.8)
    everything = eavesdrop(read_capture(lab.path), AT_EVE, EVE_ADDRESS)
    return Outcome(
        claims=_verdicts(everything, fetched, secret),
        comparisons=(),
        fidelity=lab.fidelity(times=False),
        implementations={
            FTP_SERVER: server_name(context),
            FTP_CLIENT: client_name(context),
            SFTP_SERVER: ssh_name(asked["ssh"]),
        },
        capture=lab.path.name,
    )


def _fetch(context: Run, bed: Testbed) -> Transfers:
    client, done = bed.host("client"), Transfers()
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


def _verdicts(everything: Overheard, fetched: Transfers, secret: Secret) -> tuple[Verdict, ...]:
    ftp, sftp = (fetched.heard(everything, way) for way in (FTP, SFTP))
    verdicts = (decide_eavesdropping(ftp, secret), decide_encryption(sftp, ftp, secret, fetched.arrived.get(SFTP, b"")))
    return tuple(
        undecided(verdict.id, f"The file was not downloaded by {way}: {fetched.failures[way]}.")
        if way in fetched.failures
        else verdict
        for way, verdict in zip((FTP, SFTP), verdicts, strict=True)
    )


def _ssh(text: str) -> str:
    return choose_ssh(one_of(ANY, OPENSSH, ASYNCSSH)(text))


EXPERIMENT = Experiment(
    name="ftp-eavesdrop",
    question="What does an observer on the path learn from a file transfer?",
    claims=("F8", "F9"),
    parameters={
        "rtt": Parameter("20ms", seconds, "the round-trip time between client and server"),
        "bw": Parameter("10", megabits, "the rate of the link in Mbit/s"),
        "size": Parameter("100000", whole(1000, 10_000_000), "the size of the file in octets"),
        "ssh": Parameter(ANY, _ssh, f"SFTP program: {OPENSSH}, {ASYNCSSH}, or {ANY} (the first one installed)"),
        "mode": Parameter("passive", one_of("active", "passive"), "the mode of the data connection, active or passive"),
    },
    run=run,
    repeat=1,
    roles=(FTP_SERVER, FTP_CLIENT),
)
