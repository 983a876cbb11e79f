"""What an experiment declares, and what one run of it is given and gives back.

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
from experiments.harness.result import Comparison, Fidelity, Timing
from topologies.emulation.errors import DrawingError
from topologies.emulation.shape import parse_time_s


class ParameterError(ValueError):
    """A parameter does not exist or has no such value; the message says which there are."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: its default as a person would type it, how to read that, and what it means.

    `full`: its default in a long run (`lab7 run --full`), where that differs; `full_virtual`: in a long run in virtual
    time, in which hours of waiting take none, where it differs again.
    """

    default: str
    parse: Callable[[str], Any]
    meaning: str
    full: str | None = None
    full_virtual: str | None = None

    def text(self, full: bool, timed_by: ClockWord) -> str:
        """Return its default as a person would type it, in a long run or not, by this clock."""
        if full and timed_by == "virtual" and self.full_virtual is not None:
            return self.full_virtual
        return self.full if full and self.full is not None else self.default


@dataclass(frozen=True)
class Run:
    """What one run is given. `parameters` are parsed; `step` tells the person what is being done now.

    `replacements`: by role, what takes the place of lab7's own service.
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
        """Return those of the hosts, given by role, whose programs wait by timers of their own (see pathmodel.replay).

        These are real servers in virtual time: programs take no time there, so that what passes before one acts is a
        timer of its. A person's own program is set beside the formula as lab7's are.
        """
        if clock.current().word != "virtual":
            return frozenset()
        return frozenset(hosts[role] for role, one in self.replacements.items() if role in hosts and not one.own)


@dataclass(frozen=True)
class Outcome:
    """What one run found. `timings` are the samples behind the comparisons, by name.

    `plot`: an SVG for the report in the place of the bars that every comparison gets.
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
    """One question, and how to answer it.

    `claims`: ids, of the course's claims (experiments/claims.toml) or of `own_claims`, which say what they state.
    `cost`: about how many seconds a processor works for a run in virtual time; the longest are started first.
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
        """All parameters parsed, `given` in place of the defaults (with `full`, those of the long run by this clock).

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


def seconds(text: str) -> float:
    """Read a time such as 50ms, 300us or 1s; in seconds, above zero and at most a minute."""
    try:
        value = parse_time_s(text)
    except DrawingError:
        value = 0.0
    if not 0 < value <= 60:
        raise ValueError("it takes a time from 1us to 60s")
    return value


def factor(text: str) -> float:
    """Read a factor from 0.01 to 10."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 10:
        raise ValueError("it takes a factor from 0.01 to 10")
    return value


def share(text: str) -> float:
    """Read a share from 0.01 to 0.99."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 0.99:
        raise ValueError("it takes a share from 0.01 to 0.99")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"it takes a whole number from {low} to {high}")
        return int(text)

    return read


def choices(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A reader of `all` or of names from a list, separated by commas, in the order of the list."""

    def read(text: str) -> tuple[str, ...]:
        asked = known if text == "all" else tuple(part.strip() for part in text.split(","))
        for one in asked:
            if one not in known:
                raise ValueError(f"it takes all, or some of {','.join(known)}")
        return tuple(one for one in known if one in asked)

    return read


def listed(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """A reader of several values separated by commas, each read by `read`."""

    def read_all(text: str) -> list[Any]:
        return [read(part.strip()) for part in text.split(",")]

    return read_all


def per_second(text: str) -> float:
    """Read a rate of events, such as 15 or 0.5, a second."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise ValueError("it takes a rate from 0.01 to 1000 a second")
    return value


def megabits(text: str) -> float:
    """Read a rate in Mbit/s, such as 10 or 1.54."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise ValueError("it takes a rate from 0.01 to 1000 Mbit/s")
    return value
