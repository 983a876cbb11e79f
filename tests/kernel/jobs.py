"""What is run in the kernels, in this order, and what is asked of them there."""

from __future__ import annotations

from dataclasses import dataclass

# Of the experiment that runs over both back ends. The link is slow, so that sending takes long beside what system
# calls take; all that is sent in one go fits into TCP's initial window.
RTT_S, BW_MBIT, OBJECTS, SIZE_BYTES, REPEAT = 0.2, 0.5, 3, 4000, 5
STRATEGIES = ("1.0-serial", "1.1-persistent", "2")
DNS_SCALE, DNS_REPEAT = 2, 2
# A host with both families, whose neighbours it asks for.
DUAL_STACK = "ping -6 -c 1 origin && ping -4 -c 1 origin && ip neigh"


@dataclass(frozen=True)
class Job:
    """One command line, `{findings}` in it being the folder for what it finds. timeout_s: then it is killed."""

    name: str
    command: str
    timeout_s: float = 60.0


def _run(links: str, name: str, repeat: int, **asked: object) -> str:
    settings = " ".join(f"--set {word}={value}" for word, value in asked.items())
    # Compared here, with a tolerance of this kernel: a run that the certificate finds suspect is not repeated.
    options = f"--links {links} --repeat {repeat} --again 0"
    return f"lab7 run {name} {options} {settings} --results {{findings}}/{links} --json"


def _http(links: str) -> str:
    return _run(
        links,
        "http-versions",
        REPEAT,
        rtt=f"{RTT_S * 1e3:g}ms",
        bw=f"{BW_MBIT:g}",
        objects=OBJECTS,
        size=SIZE_BYTES,
        strategies=",".join(STRATEGIES),
    )


def _tests(file: str) -> str:
    return f"python -m pytest -p no:cacheprovider tests/emulation/{file}"


def _stock(script: str) -> str:
    """Run a script of Mininet's users by Mininet."""
    sandbox = "python -P -m lab7.topologies.emulation.sandbox"
    return f"{sandbox} sh tests/kernel/stock_script.sh tests/emulation/mininet/{script}"


def _ours(script: str) -> str:
    return f"lab7 script --links netem --switch ovs tests/emulation/mininet/{script}"


# Each kernel has one processor, and machines that run tests have two: so there are two kernels, side by side. The two
# runs that are compared are in the same one.
KERNELS: tuple[tuple[Job, ...], ...] = (
    (
        Job("doctor", "lab7 doctor --json"),
        Job("links", "python -m tests.kernel.links netem {findings}"),
        Job("http-netem", _http("netem"), 120.0),
        Job("http-wire", _http("wire"), 120.0),
        Job(
            "ordinary-user", "python -m pytest -p no:cacheprovider tests/emulation/testbed/test_ordinary_user.py", 180.0
        ),
        Job("links-stock", _stock("links.py"), 240.0),
        Job("links-lab7", _ours("links.py"), 240.0),
    ),
    (
        Job("dual-stack", f"lab7 exec --links netem --arp dynamic --ipv6 web client -- sh -c '{DUAL_STACK}'"),
        Job("switches", "python -m tests.kernel.switches {findings}", 90.0),
        Job("stock-mininet", "python -m lab7.topologies.emulation.sandbox sh tests/kernel/stock_mininet.sh"),
        Job("dns-netem", _run("netem", "dns-resolution", DNS_REPEAT, scale=DNS_SCALE), 300.0),
        Job("habits-stock", _stock("habits.py ovs"), 240.0),
        Job("habits-lab7", _ours("habits.py ovs"), 240.0),
        Job("traffic_control-stock", _stock("traffic_control.py"), 240.0),
        Job("traffic_control-lab7", _ours("traffic_control.py"), 240.0),
    ),
)
JOBS = {job.name: job for jobs in KERNELS for job in jobs}
