"""Results of runs: result.json and timings.csv in stable formats, and the result folder of each run.

    folder = new_folder(Path("results"), "http_versions")   # results/http_versions/20300102T030405Z-9f01ab

result.json:

    experiment, question, parameters, seed, started, duration_s, implementations {role: name}
    claims       [{id, verdict: shown | failed | undecided, evidence, frames, captures {capture: frames}}]
    comparisons  [{name, samples_s, measured_s, theory_s, ratio, terms, theory_terms, formula, source, tolerance,
                   raw_s, disturbed, span {capture, start_ns, end_ns}, spans [span], symbols {symbol: text}}]
    fidelity     {verdict: valid | suspect, checks [{name, asked, measured, verdict}]}
    files        {capture, timings, report, capture_sha256, programs {file: last line}, left_out {capture: sentence}}
    clock        {word: real | virtual, kernel, configuration}
    faults       {host: [name]}, the deliberate protocol errors of the host's services (lab7 run --fault)
    violations   [{rule, section, statement, capture, frame, offset, octets, found, expected, sentence, claim, ...}],
                 the first violation of each rule (requirement of an RFC on messages), in runs with a user's own program
                 or with faults
    replaced     {role: name}, the programs that took the place of lab7's own (lab7 run --replace)
    environment  {version, kernel, links: netem | wire, command}; the version is that of lab7
    network      {hosts {name: [address]}, switches, links [{first, second, first_interface, second_interface,
                 there {rate_bps, delay_s, loss, queue_frames}, back}]}, null in older results
    parameter_texts {name: text}, the parameters as typed on the command line: with units
    attempt      1, or 2 and more for a rerun (see reruns)
    format       1: the version of this description; a reader rejects other versions

A claim is a statement about a protocol that the packets confirm or contradict. A comparison is a repeatedly measured
time beside its prediction. Its terms are the parts of the time, such as connection setup; `Comparison` describes its
fields. A fidelity check is a check of the emulated network or of the machine's load; its `asked` is the configured
value. `frames`: the numbers of the frames that the evidence cites. Frames are numbered within each capture; `captures`
has the numbers by capture. `programs`: files with output of users' programs, each with its last line. `left_out`:
a sentence on the octets that were removed from a capture.

Times are in seconds; `started` is UTC in ISO 8601; a file that was not written is null. Fields that were added later
are optional for a reader: captures, raw_s, disturbed, span, spans, symbols, capture_sha256, left_out, clock, attempt,
faults, violations, replaced, environment, network, parameter_texts. Without `captures`, frames are those of
`files.capture`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import secrets
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.fidelity.disturbance import (
    MACHINE_TERMS,
    TERMS,
    Disturbance,
    beyond_bound,
    without_disturbance,
)
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.parameters import written
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.network import NetworkDescription
from lab7.experiments.harness.theory.tcp import Theory

FORMAT = 1
# Sums of times in s that differ by less than ROUNDING_NS are equal: doubles and means have rounding errors.
ROUNDING_NS = 0.5
# If a time agrees with theory, a term is not marked if its difference is below this share of the time.
FURTHEST_SHARE = 0.01
RESULT_NAME = "result.json"
TIMINGS_NAME = "timings.csv"
FidelityWord = Literal["valid", "suspect"]
# Type of a scalar field -> (description for error messages, accepted Python types).
_SCALARS: dict[Any, tuple[str, Any]] = {
    str: ("a string", str),
    int: ("an integer", int),
    float: ("a finite number", int | float),
}


class ResultError(ValueError):
    """Invalid data in result.json; the message names the field by its path."""


def decode(kind: Any, value: Any, path: str) -> Any:
    """Convert JSON data to a value of an annotated type. Raises ResultError with the path of the wrong field.

    `kind` is the type: a dataclass (fields with a default may be missing), str, int, float, None, Any, a Literal, a
    union, tuple[X, ...] or Mapping[str, X].
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _decode_fields(kind, value, path)
    if origin is UnionType:
        return None if value is None else decode(arguments[0], value, path)
    if origin is tuple:
        _require(isinstance(value, list), value, "an array", path)
        return tuple(decode(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    if origin is Mapping:
        _require(isinstance(value, dict), value, "an object", path)
        return {name: decode(arguments[1], item, f"{path}.{name}") for name, item in value.items()}
    if origin is Literal:
        _require(value in arguments, value, "one of " + ", ".join(arguments), path)
    elif kind in _SCALARS:
        expected, types = _SCALARS[kind]
        fits = isinstance(value, types) and not isinstance(value, bool)
        _require(fits and (kind is str or math.isfinite(value)), value, expected, path)
        return kind(value)
    return value


def _decode_fields(kind: Any, value: Any, path: str) -> Any:
    _require(isinstance(value, dict), value, "an object", path)
    types, given = get_type_hints(kind), {}
    for each in fields(kind):
        if each.name in value:
            given[each.name] = decode(types[each.name], value[each.name], f"{path}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ResultError(f"{path}.{each.name}: missing")
    return kind(**given)


def _require(fits: bool, value: Any, expected: str, path: str) -> None:
    if not fits:
        raise ResultError(f"{path}: expected {expected}, found {'null' if value is None else f'{value!r:.60}'}")


@dataclass(frozen=True)
class CaptureSpan:
    """Time span of one measurement within a capture file of the run, in ns since the first frame of the file."""

    capture: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Timing:
    """One measured time (sample): total in s, and terms (summands) in s, keyed by name.

    `disturbance`: the delay that other load on the machine added, in real time. `span`: the time span of the sample's
    packets; None if the time is a mean of many samples, or if there is no capture.
    """

    total_s: float
    terms: Mapping[str, float]
    disturbance: Disturbance | None = None
    span: CaptureSpan | None = None

    @classmethod
    def with_residual(cls, total_s: float, terms: Mapping[str, float]) -> Timing:
        """Return a sample with all times rounded to ns; the added term `residual` is the total minus the other terms.

        If the total and the sum of the terms differ by rounding alone (at most half a ns for the total and for each
        term), the difference is added to the largest term instead, and the residual is 0.
        """
        total_ns = round(total_s * 1e9)
        exact_ns = {name: value_s * 1e9 for name, value_s in terms.items() if name != "residual"}
        whole_ns = {name: round(value) for name, value in exact_ns.items()}
        rest_ns = total_ns - sum(whole_ns.values())
        if whole_ns and abs(total_s * 1e9 - math.fsum(exact_ns.values())) < ROUNDING_NS:
            whole_ns[max(whole_ns, key=lambda name: abs(whole_ns[name]))] += rest_ns
            rest_ns = 0
        return cls(total_ns / 1e9, {name: value / 1e9 for name, value in {**whole_ns, "residual": rest_ns}.items()})

    def beside(self, theory_terms: Mapping[str, float]) -> Timing:
        """Return the sample with the delays by other load as separate terms (see without_disturbance)."""
        if self.disturbance is None:
            return self
        terms = without_disturbance(self.total_s, self.terms, theory_terms, self.disturbance)
        return replace(self, terms=terms)

    @property
    def left_s(self) -> float:
        """Return the measured total in s, minus the delays that other load on the machine added."""
        return self.total_s - sum(self.terms.get(name, 0.0) for name in TERMS)

    @property
    def disturbed(self) -> bool:
        """Return True if other load on the machine caused more than DISTURBED_SHARE of the total."""
        if self.disturbance is None:
            return False
        if any(name in self.terms for name in TERMS):
            return beyond_bound(sum(self.terms.get(name, 0.0) for name in MACHINE_TERMS), self.total_s)
        return self.disturbance.beyond_bound(self.total_s)


@dataclass(frozen=True)
class Comparison:
    """Comparison of a repeatedly measured time with the prediction of a formula.

    `samples_s`: the measured times. `disturbed`: numbers (from 1) of the samples of which other load on the machine
    caused more than DISTURBED_SHARE; None if this was not determined. The following values are those of the undisturbed
    samples, if there are any. `raw_s`: median of the measured times. `measured_s`: median of the times minus the
    disturbance (see disturbance). `ratio`: measured_s / theory_s. `terms`: summands of the median sample (of an even
    number of samples, the lower of the middle two). `tolerance`: maximum distance of the ratio from 1. `span`: the time
    span of the median sample in its capture; `spans`: those of all samples, in order. `symbols`: symbol of the formula
    -> value and meaning.
    """

    name: str
    samples_s: tuple[float, ...]
    measured_s: float
    theory_s: float
    ratio: float
    terms: Mapping[str, float]
    theory_terms: Mapping[str, float]
    formula: str
    source: str
    tolerance: float
    # Set raw_s to measured_s for results in an older format, which lack raw_s.
    raw_s: float = math.nan
    disturbed: tuple[int, ...] | None = None
    span: CaptureSpan | None = None
    spans: tuple[CaptureSpan, ...] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if math.isnan(self.raw_s):
            object.__setattr__(self, "raw_s", self.measured_s)

    @classmethod
    def of(cls, name: str, timings: Sequence[Timing], theory: Theory, tolerance: float) -> Comparison:
        """Compare samples with theory. Raises ValueError without samples, or if the predicted time is not above 0 s."""
        if not timings or theory.total_s <= 0:
            raise ValueError(f"{name}: a comparison needs at least one sample and a theory above zero")
        every = [timing.beside(theory.terms) for timing in timings]
        counted = [timing for timing in every if not timing.disturbed] or every
        measured_s = statistics.median(timing.left_s for timing in counted)
        middle = sorted(counted, key=lambda timing: timing.left_s)[(len(counted) - 1) // 2]
        return cls(
            name=name,
            samples_s=tuple(timing.total_s for timing in every),
            measured_s=measured_s,
            theory_s=theory.total_s,
            ratio=measured_s / theory.total_s,
            terms=dict(middle.terms),
            theory_terms=dict(theory.terms),
            formula=theory.formula,
            source=theory.source,
            tolerance=tolerance,
            raw_s=statistics.median(timing.total_s for timing in counted),
            disturbed=_disturbed(every),
            span=middle.span,
            spans=tuple(timing.span for timing in every if timing.span is not None),
            symbols=dict(theory.symbols),
        )

    @property
    def adds_up(self) -> bool:
        """Return True if the terms of the median sample add up to that sample's time, to the nanosecond."""
        terms_ns = sum(round(value_s * 1e9) for value_s in self.terms.values())
        return terms_ns in {round(sample_s * 1e9) for sample_s in self.samples_s}

    @property
    def within(self) -> bool:
        """Return True if the ratio measured_s / theory_s differs from 1 by at most the tolerance."""
        return abs(self.ratio - 1) <= self.tolerance


def furthest_term(terms: Mapping[str, float], theory_terms: Mapping[str, float], within: bool) -> str | None:
    """Return the name of the term that differs most from its prediction; a missing term counts as 0 s.

    Returns None if the total agrees with the prediction (`within`) and the difference of the term is below
    FURTHEST_SHARE of the predicted total.
    """
    differences = {name: abs(terms.get(name, 0.0) - theory_terms.get(name, 0.0)) for name in (*terms, *theory_terms)}
    name = max(differences, key=lambda each: differences[each], default=None)
    if name is None or (within and differences[name] < FURTHEST_SHARE * sum(theory_terms.values())):
        return None
    return name


@dataclass(frozen=True)
class Check:
    """Fidelity check of one property of the emulation: configured and measured value as text, and a verdict."""

    name: str
    asked: str
    measured: str
    verdict: FidelityWord


@dataclass(frozen=True)
class Fidelity:
    """Fidelity certificate: checks that the emulation had its configured properties, and the resulting verdict."""

    verdict: FidelityWord
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Files:
    """Names of the files that lie beside result.json in its folder; None for a file that was not written."""

    capture: str | None = None
    timings: str | None = None
    report: str | None = None
    # SHA-256 of the file `capture` in hexadecimal, which is equal in identical runs.
    capture_sha256: str | None = None
    # Name of each file with output of a user's program -> the file's last line.
    programs: Mapping[str, str] = field(default_factory=dict)
    # Name of each capture that was truncated after the verdicts -> sentence about the removed octets.
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MessageViolation:
    """First violation of one RFC rule by a message in a run, and the id of the claim whose evidence cites it.

    `frame` is numbered within `capture`; `offset` is in the sender's stream or datagram; `octets` are in hexadecimal.
    """

    rule: str
    level: str
    section: str
    statement: str
    capture: str
    interface: str
    frame: int
    sender: str
    offset: int
    octets: str
    text: str
    found: str
    expected: str
    sentence: str
    claim: str | None = None


@dataclass(frozen=True)
class Environment:
    """Environment of a run: version of lab7, kernel, kind of link emulation (netem or wire), and the command line."""

    version: str = ""
    kernel: str = ""
    links: str = ""
    command: str = ""


@dataclass(frozen=True)
class Result:
    """Result of one run of an experiment, as stored in result.json."""

    experiment: str
    question: str
    parameters: Mapping[str, Any]
    seed: int
    started: str
    duration_s: float
    implementations: Mapping[str, str]
    claims: tuple[Verdict, ...]
    comparisons: tuple[Comparison, ...]
    fidelity: Fidelity
    files: Files = field(default_factory=Files)
    attempt: int = 1
    clock: Clock = field(default_factory=Clock)
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    violations: tuple[MessageViolation, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    network: NetworkDescription | None = None
    parameter_texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """Return the parameters as text with units (rtt -> 50ms); of older results, the values without units."""
        return {name: self.parameter_texts.get(name) or written(value) for name, value in self.parameters.items()}

    @property
    def variant(self) -> str:
        """Return the replaced programs and the faults as text, such as `origin=nginx 1.22.1`; empty if none."""
        programs = [f"{role}={name}" for role, name in self.replaced.items()]
        faults = [f"{host} with {', '.join(names)}" for host, names in self.faults.items()]
        return "; ".join([*programs, *faults])

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON data with the version number of its format."""
        data: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **asdict(self)}))
        return data

    @property
    def host_names(self) -> dict[str, str]:
        """Return address -> host for the network of the run; empty if the result has no network."""
        return {} if self.network is None else self.network.names

    @classmethod
    def from_json(cls, data: Any) -> Result:
        """Convert JSON data to a result. Raises ResultError, which names the invalid field."""
        _require(isinstance(data, dict), data, "an object", "result")
        if data.get("format") != FORMAT:
            raise ResultError(f"result.format: expected {FORMAT}, found {data.get('format', 'none')!r}")
        result: Result = decode(cls, data, "result")
        return result

    def save(self, folder: Path) -> Path:
        """Write result.json into a folder atomically; return the file's path."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
        return write_atomically(folder / RESULT_NAME, text)

    @classmethod
    def load(cls, folder: Path) -> Result:
        """Read result.json from a folder. Raises OSError without the file, ResultError for an invalid file."""
        try:
            data = json.loads((folder / RESULT_NAME).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ResultError(f"{folder / RESULT_NAME} is not JSON: {error}") from error
        return cls.from_json(data)


def _disturbed(timings: Sequence[Timing]) -> tuple[int, ...] | None:
    if all(timing.disturbance is None for timing in timings):
        return None
    return tuple(number for number, timing in enumerate(timings, start=1) if timing.disturbed)


def new_folder(results: Path, experiment: str, now: datetime | None = None) -> Path:
    """Create and return a new folder for one run, named by UTC time and a random suffix."""
    moment = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    while True:
        folder = results / experiment / f"{moment}-{secrets.token_hex(3)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder


def read_results(results: Path) -> Iterator[tuple[Path, Result]]:
    """Yield (folder, result) for every complete result under `results`, newest last."""
    entries: list[tuple[str, str, Path, Result]] = []
    for path in results.glob(f"*/*/{RESULT_NAME}"):
        try:
            result = Result.load(path.parent)
        except (OSError, ResultError):
            # Skip an incomplete result of a killed run, and a file of another program.
            continue
        entries.append((result.started, path.parent.name, path.parent, result))
    for _, _, folder, result in sorted(entries, key=lambda entry: entry[:2]):
        yield folder, result


def write_timings(folder: Path, timings: Mapping[str, Sequence[Timing]]) -> Path:
    """Write timings.csv with one row per sample (its name, total and terms in s); return the file's path.

    In real time the last columns are: whether other load disturbed the sample (DISTURBED_SHARE), the total of the
    measured disturbance, and the lateness of the latest frame with its link. The terms of a row contain at most as much
    of the disturbance as the sample exceeds the predicted time.
    """
    every = [sample for samples in timings.values() for sample in samples]
    terms = list(dict.fromkeys(term for timing in every for term in timing.terms))
    real = any(timing.disturbance is not None for timing in every)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["name", "sample", "total_s", *(f"{term}_s" for term in terms)]
    writer.writerow([*header, "disturbed", "counted_s", "latest_frame_s", "wire"] if real else header)
    for name, samples in timings.items():
        for number, timing in enumerate(samples, start=1):
            cells = [f"{timing.terms[term]:.9f}" if term in timing.terms else "" for term in terms]
            row = [name, number, f"{timing.total_s:.9f}", *cells]
            writer.writerow([*row, *_disturbed_cells(timing)] if real else row)
    return write_atomically(folder / TIMINGS_NAME, text.getvalue())


def _disturbed_cells(timing: Timing) -> list[str]:
    if timing.disturbance is None:
        return ["", "", "", ""]
    counted_s = sum(timing.disturbance.terms().values())
    return [
        "yes" if timing.disturbed else "no",
        f"{counted_s:.9f}",
        f"{timing.disturbance.late_frame_s:.9f}",
        timing.disturbance.wire,
    ]
