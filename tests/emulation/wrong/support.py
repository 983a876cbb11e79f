"""Runs of an experiment with a deliberately wrong implementation in one role, and the verdicts that come out."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.emulation.support import lab7

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Judged:
    """A run's exit code, its claims with verdict and evidence, its message violations, and its programs' last lines."""

    code: int
    verdicts: Mapping[str, str]
    evidence: Mapping[str, str]
    violations: tuple[Mapping[str, Any], ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)

    def not_shown(self) -> set[str]:
        """The claims that were not shown."""
        return {claim for claim, verdict in self.verdicts.items() if verdict != "shown"}


def program(file: str, *arguments: str) -> str:
    """The command line of a program of this folder, as `--replace ROLE=` takes it; {port} and the like stay."""
    return " ".join([shlex.quote(sys.executable), shlex.quote(str(HERE / file)), *arguments])


def judge(
    experiment: str, replace: Mapping[str, str], settings: Mapping[str, Any], cwd: Path, *, repeat: int = 1
) -> Judged:
    """Run one experiment by `lab7 run --replace ROLE=COMMAND ... --set NAME=VALUE ... --json` and read its result."""
    words = ["run", experiment, "--json", "--again", "0", "--repeat", str(repeat), "--links", "wire"]
    words += [word for role, command in replace.items() for word in ("--replace", f"{role}={command}")]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = lab7(*words, cwd=cwd)
    assert done.stdout, f"lab7 {words} ended with {done.returncode}: {done.stderr}"
    result = json.loads(done.stdout)["results"][0]
    claims = result["claims"]
    return Judged(
        done.returncode,
        {claim["id"]: claim["verdict"] for claim in claims},
        {claim["id"]: claim["evidence"] for claim in claims},
        tuple(result["violations"]),
        result["files"]["programs"],
    )
