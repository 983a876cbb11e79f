"""Experiment declaration, the input of a run (`Run`), and its outcome (`Outcome`).

EXPERIMENT = Experiment(
    name="http-versions",
    question="How long does a page take, by HTTP version and use of connections?",
    claims=("H1", ...),
    parameters={"rtt": Parameter("100ms", seconds, "round-trip time between client and origin")},
    run=run,
)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.harness import clock
from experiments.harness.claims import Claim
from experiments.harness.clock import ClockWord
from experiments.harness.implementations.registry import Implementation
from experiments.harness.judge.verdict import Verdict
from experiments.harness.results.result import Comparison, Fidelity, Timing


class ParameterError(ValueError):
    """A parameter does not exist or has no such value; the message lists the alternatives."""


@dataclass(frozen=True)
class Parameter:
    """A parameter: its default as text, its parser, and its meaning.

    `full`: its default in a long run (`lab7 run --full`), if different; `full_virtual`: its default in a long run in
    virtual time, in which hours of waiting take no time, if different again.
    """

    default: str
    parse: Callable[[str], Any]
    meaning: str
    full: str | None = None
    full_virtual: str | None = None

    def text(self, full: bool, timed_by: ClockWord) -> str:
        """Return the default as text, in a long run or not, by this clock."""
        if full and timed_by == "virtual" and self.full_virtual is not None:
            return self.full_virtual
        return self.full if full and self.full is not None else self.default


@dataclass(frozen=True)
class Run:
    """The input of one run: `parameters` are parsed; `step` reports progress.

    `replacements`: by role, the implementation in place of lab7's own service.
    """

    parameters: Mapping[str, Any]
    seed: int
    repeat: int
    links: str
    sandboxed: bool
    folder: Path
    step: Callable[[str, float], None]
    replacements: Mapping[str, Implementation] = field(default_factory=dict)

    def waiting(self, hosts: Mapping[str, str]) -> frozenset[str]:
        """Return those of the hosts, given by role, with programs that wait by timers of their own (see
        pathmodel.replay).

        These are real servers in virtual time: programs take no time there, so a delay before one acts is a timer of
        its own. A user's own program is compared with the formula as lab7's are.
        """
        if clock.current().word != "virtual":
            return frozenset()
        return frozenset(hosts[role] for role, one in self.replacements.items() if role in hosts and not one.own)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run. `timings` are the samples behind the comparisons, by name.

    `plot`: an SVG for the report in place of the bars of each comparison.
    """

    claims: tuple[Verdict, ...]
    comparisons: tuple[Comparison, ...]
    fidelity: Fidelity
    implementations: Mapping[str, str]
    timings: Mapping[str, list[Timing]] = field(default_factory=dict)
    capture: str | None = None
    plot: str | None = None


@dataclass(frozen=True)
class Experiment:
    """An experiment: a question and the function that answers it.

    `claims`: ids of the course's claims (experiments/claims.toml) or of `own_claims`. `cost`: processor time of a run
    in virtual time, in seconds; the longest are started first.
    """

    name: str
    question: str
    claims: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    run: Callable[[Run], Outcome]
    repeat: int = 5
    roles: tuple[str, ...] = ()
    own_claims: tuple[Claim, ...] = ()
    cost: float = 15.0

    def read_parameters(self, given: Mapping[str, str], full: bool = False) -> dict[str, Any]:
        """Parse all parameters, `given` in place of the defaults, which `full` and this process's clock select.

        Raises ParameterError.
        """
        timed_by = clock.current().word
        texts = {name: parameter.text(full, timed_by) for name, parameter in self.parameters.items()}
        for name, text in given.items():
            if name not in texts:
                raise ParameterError(
                    f"the experiment {self.name} has no parameter {name!r}: it has {', '.join(self.parameters)}"
                )
            texts[name] = text
        return {name: self._read(name, text) for name, text in texts.items()}

    def _read(self, name: str, text: str) -> Any:
        parameter = self.parameters[name]
        try:
            return parameter.parse(text)
        except ValueError as error:
            raise ParameterError(
                f"{name}={text!r} cannot be: {error}, for example {name}={parameter.default} ({parameter.meaning})"
            ) from None
