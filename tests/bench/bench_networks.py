"""Start and stop of networks in which every host serves: stock Mininet, lab7 as it was, and lab7 now, in one run.

    python -m tests.bench.bench_networks [--hosts 10,50,200] [--only stock,before,now] [--rounds 1]

Every host has an HTTP origin, in stock Mininet started by `python3 -m lab7.services.http.origin &` in its shell. lab7
as it was is the tag 0.2.0 where the checkout has it, else the commit of that release, in a git worktree. Each network
is in a sandbox of its own. CPU is the processor time of all processes from the first to the last, which other work of
the machine changes least. Memory is the proportional set size of all processes, divided by the hosts. The last column
of `--only now` is the cost of a host: the time from nothing to READY, less that of a network of one host.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CHILD = REPOSITORY / "tests" / "bench" / "network_start.py"
HOSTS = (10, 50, 200)
KINDS = ("stock", "before", "now")
# The tag of the release, and the subject of its commit.
TAG, SUBJECT = "0.2.0", "Release 0.2.0"
TIMEOUT_S = 900
COLUMNS = ("build_s", "ready_s", "stop_s", "memory_mib")

Measured = dict[str, float]


@contextlib.contextmanager
def as_it_was() -> Iterator[Path]:
    """Yield a folder with the project as released; raises SystemExit without git or that commit."""
    with tempfile.TemporaryDirectory(prefix="lab7-bench-") as folder:
        found = _git("rev-parse", "--verify", "--quiet", f"{TAG}^{{commit}}") or _git(
            "log", "--all", "--format=%H", "-n1", f"--grep=^{SUBJECT}"
        )
        if not found:
            raise SystemExit(f"bench: this checkout has no tag {TAG}: run `git fetch --tags`, or use --only stock,now")
        _git("worktree", "add", "--detach", f"{folder}/lab7", found)
        try:
            yield Path(folder, "lab7")
        finally:
            _git("worktree", "remove", "--force", f"{folder}/lab7")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def measure(kind: str, hosts: int, project: Path, pages: Path) -> Measured:
    """Start and stop one network; return its times and memory. Raises SystemExit with its last line if it fails."""
    words = [sys.executable, str(CHILD), "stock" if kind == "stock" else "lab7", str(hosts), str(pages)]
    environment = dict(os.environ, PYTHONPATH=str(project))
    before_s = _children_s()
    done = subprocess.run(
        words, cwd=project, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise SystemExit(f"bench: {kind}, {hosts} hosts: {said[-1]}")
    measured: Measured = json.loads(done.stdout.strip().splitlines()[-1])
    return {**measured, "processor_s": _children_s() - before_s}


def _children_s() -> float:
    """Return the processor time of all processes that have ended below this one; process 1 of a sandbox awaits all."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best(kind: str, hosts: int, project: Path, pages: Path, rounds: int) -> Measured:
    """Return the round that was READY first: what disturbs a measurement only adds time."""
    return min(
        (measure(kind, hosts, project, pages) for _ in range(rounds)),
        key=lambda measured: measured["build_s"] + measured["ready_s"],
    )


def row(kind: str, hosts: int, measured: Measured, one_s: float | None) -> str:
    """Format one line of the table; one_s: time from nothing to READY of a network of one host, None: not measured."""
    build, ready, stop, memory = (measured[name] for name in COLUMNS)
    cost = "" if one_s is None else f" {(build + ready - one_s) / (hosts - 1) * 1e3:>9.1f}"
    times = (build, ready, stop, build + ready + stop, measured["processor_s"])
    return f"{hosts:>6} {kind:<7} {' '.join(f'{each:>8.2f}' for each in times)} {memory / hosts:>10.2f}{cost}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_networks", description=__doc__)
    parser.add_argument("--hosts", default=",".join(map(str, HOSTS)), help="numbers of hosts (default: %(default)s)")
    parser.add_argument("--only", default=",".join(KINDS), help="what is measured, of %(default)s")
    parser.add_argument("--rounds", type=int, default=1, help="measurements of each, of which the fastest counts")
    options = parser.parse_args(argv)
    kinds = options.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--only {', '.join(sorted(unknown))}: choose of {', '.join(KINDS)}")
    with contextlib.ExitStack() as stack:
        pages = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab7-bench-")))
        pages.chmod(0o755)
        (pages / "index.html").write_text("hello\n")
        projects = {"stock": REPOSITORY, "now": REPOSITORY}
        if "before" in kinds:
            projects["before"] = stack.enter_context(as_it_was())
        one_s = None
        if kinds == ["now"]:
            one = best("now", 1, REPOSITORY, pages, options.rounds)
            one_s = one["build_s"] + one["ready_s"]
        heads = ("build s", "READY s", "stop s", "total s", "CPU s")
        print(f"{'hosts':>6} {'':<7} " + " ".join(f"{head:>8}" for head in heads) + f" {'MiB a host':>10}", end="")
        print("" if one_s is None else f" {'ms a host':>9}")
        for hosts in map(int, options.hosts.split(",")):
            for kind in kinds:
                print(row(kind, hosts, best(kind, hosts, projects[kind], pages, options.rounds), one_s), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
