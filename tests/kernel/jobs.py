"""What is run in the kernel, in this order, and what is asked of it there."""

from __future__ import annotations

from dataclasses import dataclass

# Of the experiment that runs over both back ends. The link is slow, so that sending takes long beside what system
# calls take; all that is sent in one go fits into TCP's initial window.
RTT_S, BW_MBIT, OBJECTS, SIZE_BYTES, REPEAT = 0.2, 0.5, 3, 4000, 2
STRATEGIES = ("1.0-serial", "1.1-persistent", "2")
DNS_SCALE = 2


@dataclass(frozen=True)
class Job:
    """One command line, `{findings}` in it being the folder for what it finds. timeout_s: then it is killed."""

    name: str
    command: str
    timeout_s: float = 60.0


def _run(links: str, *names: str) -> str:
    asked = {
        "rtt": f"{RTT_S * 1e3:g}ms",
        "bw": f"{BW_MBIT:g}",
        "objects": str(OBJECTS),
        "size": str(SIZE_BYTES),
        "strategies": ",".join(STRATEGIES),
    }
    asked |= {"scale": str(DNS_SCALE)} if "dns-resolution" in names else {}
    settings = " ".join(f"--set {name}={value}" for name, value in asked.items())
    how = f"--links {links} --repeat {REPEAT} {settings} --results {{findings}}/{links} --json"
    return f"lab7 run {' '.join(names)} {how}"


JOBS = (
    Job("doctor", "lab7 doctor --json"),
    Job("links", "python -m tests.kernel.links netem {findings}"),
    Job("netem", _run("netem", "http-versions", "dns-resolution"), 120.0),
    Job("wire", _run("wire", "http-versions")),
    Job("ordinary-user", "python -m pytest -p no:cacheprovider tests/emulation/test_ordinary_user.py"),
    Job("switches", "python -m tests.kernel.switches {findings}"),
    Job(
        "stock-mininet",
        "python -m topologies.emulation.sandbox sh tests/kernel/stock_mininet.sh",
    ),
)
