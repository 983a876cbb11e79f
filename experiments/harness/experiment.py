"""Interface between an experiment and the harness: declaration (`Experiment`), input (`Run`), and result (`Outcome`).

    EXPERIMENT = Experiment(
        name="http-versions",
        question="How long does a page take, by HTTP version and use of connections?",
        claims=("H1", ...),
        parameters={"rtt": Parameter("100ms", seconds, "round-trip time between client and origin")},
        run=run,
    )

Claims are ids of statements that the packets of a run confirm or contradict. A Parameter has its default as text, the
function that parses the text, and its meaning. `run` is a function of the experiment's module from Run to Outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.shortening import Kept
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.clock import ClockWord
from lab7.experiments.harness.implementations.registry import Implementation
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Comparison, Fidelity, Timing


class ParameterError(ValueError):
    """Invalid name or value of a parameter; the message lists the names, or shows a valid value."""


@dataclass(frozen=True)
class Parameter:
    """Parameter of an experiment: default as text, parser, and meaning.

    `full`: the default in a long run (`lab7 run --full`), if different. `full_virtual`: the default in a long run in
    virtual time, a simulated clock that skips waiting times, if different from `full`.
    """

    default: str
    parse: Callable[[str], Any]
    meaning: str
    full: str | None = None
    full_virtual: str | None = None

    def text(self, full: bool, timed_by: ClockWord) -> str:
        """Return the default value as text, for a short or long (`full`) run, in virtual or real time."""
        if full and timed_by == "virtual" and self.full_virtual is not None:
            return self.full_virtual
        return self.full if full and self.full is not None else self.default


@dataclass(frozen=True)
class Run:
    """Input of one run of an experiment: parsed parameters, seed, kind of link emulation, result folder and others.

    `step`: function that reports progress as (text, share from 0 to 1). `replacements`: role -> program that runs in
    place of lab7's own service. `faults`: host -> names of the deliberate protocol errors of the host's services.
    """

    parameters: Mapping[str, Any]
    seed: int
    repeat: int
    links: str
    sandboxed: bool
    folder: Path
    step: Callable[[str, float], None]
    replacements: Mapping[str, Implementation] = field(default_factory=dict)
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def waiting(self, hosts: Mapping[str, str]) -> frozenset[str]:
        """Return the hosts whose third-party servers may wait by timers of their own; an empty set in real time.

        `hosts` is role -> host. In virtual time a program takes no time, so that a delay between a request and the
        server's response comes from a timer of the server. The path model adds such delays of these hosts to the
        predicted time. A user's own program is compared with the formula alone, like lab7's own servers.
        """
        if clock.current().word != "virtual":
            return frozenset()
        return frozenset(hosts[role] for role, one in self.replacements.items() if role in hosts and not one.own)


@dataclass(frozen=True)
class Outcome:
    """Result of one run: verdicts on claims, measured and predicted times, checks of the emulation, names of programs.

    `timings`: name of a comparison -> its measured samples; `plot`: an SVG for the report in place of its bar chart.
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
    """Declaration of an experiment: question, claims, parameters, and the function that runs the experiment.

    `claims`: ids of the course's claims (experiments/claims.toml) or of `own_claims`. `cost`: CPU time of a run in
    virtual time, in seconds; experiments with the highest cost are started first. `judges_messages`: True if the claims
    themselves are about violations of RFC rules by messages, so that no violation is added to their evidence.
    `kept_octets`: function that returns the number of leading octets of a frame to keep in captures after the verdicts
    (None: frames are not truncated).
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
    judges_messages: bool = False
    kept_octets: Kept | None = None

    def read_parameters(
        self, given: Mapping[str, str], full: bool = False, timed_by: ClockWord | None = None
    ) -> dict[str, Any]:
        """Parse all parameters: the values in `given`, otherwise the defaults of a short or long (`full`) run.

        `timed_by`: the clock of the run; None for the clock of this process. Raises ParameterError.
        """
        timed_by = timed_by or clock.current().word
        texts = {name: parameter.text(full, timed_by) for name, parameter in self.parameters.items()}
        for name, text in given.items():
            if name not in texts:
                raise ParameterError(
                    f"the experiment {self.name} has no parameter {name!r}{did_you_mean(name, texts)}: "
                    f"its parameters are {', '.join(self.parameters)}"
                )
            texts[name] = text
        return {name: self._read(name, text) for name, text in texts.items()}

    def _read(self, name: str, text: str) -> Any:
        parameter = self.parameters[name]
        try:
            return parameter.parse(text)
        except ValueError as error:
            raise ParameterError(
                f"invalid value {name}={text!r}: {error}, for example {name}={parameter.default} ({parameter.meaning})"
            ) from None
