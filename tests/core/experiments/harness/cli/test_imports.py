"""What the command line imports: help, lists and completion need neither Mininet nor scapy nor rich's progress bars."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[5]
# Libraries that take long to import; those of `list` are needed to make its cache, and not after that.
HEAVY = {"mininet", "scapy", "setuptools", "jinja2", "matplotlib", "asyncio"}
SHOW = """
import contextlib, io, sys
from lab7.experiments.harness.cli import main
sys.argv = ["lab7", *sys.argv[1:]]
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.suppress(SystemExit):
    main()
print(*{name.partition(".")[0] for name in sys.modules}, *(name for name in sys.modules if name.startswith("lab7.")))
"""


def imported(*words: str, **changes: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *words],
        cwd=REPOSITORY,
        env=os.environ | changes,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("words", [("--help",), ("--version",)], ids=str)
def test_help_imports_no_library_but_click(words: tuple[str, ...]) -> None:
    found = imported(*words)
    assert found & {*HEAVY, "rich", "yaml"} == set()


def test_a_list_without_its_cache_imports_no_service_for_its_faults(tmp_path: Path) -> None:
    found = imported("list", XDG_CACHE_HOME=str(tmp_path))
    assert "lab7.experiments.harness.measurement" in found
    assert found & {"scapy", "matplotlib"} == set()
    # Services that run in a host, and of which no experiment uses a module.
    assert {name for name in found if name.startswith("lab7.services.")} & {"lab7.services.mail.mta"} == set()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="distutils left the standard library with Python 3.12")
def test_mininet_does_not_import_setuptools(tmp_path: Path) -> None:
    for words in [("list",), ("exec", "web", "no-such-host", "--", "true")]:
        found = imported(*words, XDG_CACHE_HOME=str(tmp_path))
        assert "mininet" in found or words == ("list",)
        assert "setuptools" not in found


def test_a_cached_list_and_completion_import_no_experiment(tmp_path: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    imported("list", **cache)
    for words, more in [(("list",), {}), ((), {"_LAB7_COMPLETE": "bash_complete", "LAB7_LINE": "lab7 matrix f"})]:
        found = imported(*words, **cache, **more)
        assert found & {"scapy", "matplotlib", "asyncio"} == set()
        assert [name for name in found if name.startswith("lab7.experiments.http.")] == []
    assert imported("list", **cache) & HEAVY == set()


def test_a_command_in_a_host_imports_no_experiment_and_no_scapy(tmp_path: Path) -> None:
    """The topology is found by the cached listing, so that no other module of a topology is imported."""
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    imported("list", **cache)
    found = imported("exec", "web", "no-such-host", "--", "true", **cache)
    assert found & {"scapy", "rich", "asyncio", "matplotlib", "jinja2", "statistics"} == set()
    assert "lab7.experiments.harness.experiment" not in found
    assert [name for name in found if name.startswith(("lab7.experiments.http.", "lab7.experiments.dns."))] == []
