"""Result of one experiment run as an object for programs and notebooks: claims, comparisons, samples and captures.

A claim is a statement about a protocol, with the verdict of the run's packets on it. A comparison is a measured time
beside its prediction; its samples are the repetitions of the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.judge.verdict import Verdict, evidence_of
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.harness.results.run_folder import capture_names, load_run
from lab7.experiments.harness.template_engine import render
from lab7.experiments.library.pictures import ARROWS, LadderPicture, draw_ladder
from lab7.experiments.library.tables import rows_of, table_of


@dataclass(frozen=True)
class RunResult:
    """Result of one run: the content of its result.json, and access to the files of its folder."""

    folder: Path
    result: Result

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.result.experiment

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters of the run in the parser's units: times in s, rates in Mbit/s."""
        return self.result.parameters

    @cached_property
    def claims(self) -> dict[str, Verdict]:
        """Claim id -> verdict, with `.verdict` (shown, failed or undecided), `.evidence` (a sentence), and `.frames`.

        Frames are numbered within one capture: `.captures` has the numbers keyed by the name of the capture.
        """
        return {claim.id: claim for claim in self.result.claims}

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """Name -> measured time beside the predicted one: `.measured_s`, `.theory_s`, `.ratio`, `.terms`, `.within`."""
        return {comparison.name: comparison for comparison in self.result.comparisons}

    @property
    def shown(self) -> bool:
        """True if every claim was shown."""
        return all(claim.verdict == "shown" for claim in self.result.claims)

    @property
    def valid(self) -> bool:
        """True if the network had its configured properties, and other load on the machine did not disturb the run."""
        return self.result.fidelity.verdict == "valid"

    @cached_property
    def samples(self) -> Any:
        """Table of all samples (measured repetitions) with their terms in s.

        It is a pandas DataFrame, or a Table if pandas is not installed.
        """
        return table_of(rows_of(self.folder, self.result, "samples"))

    @cached_property
    def captures(self) -> dict[str, Path]:
        """Paths of the run's capture files, keyed by file name."""
        return {name: self.folder / name for name in sorted(capture_names(self.folder, self.result))}

    @property
    def report(self) -> Path | None:
        """Path of the run's HTML report; None if there is none."""
        return None if self.result.files.report is None else self.folder / self.result.files.report

    def read_capture(self, name: str | None = None) -> CaptureFile:
        """Read a capture of the run, by default the one that the result names. Raises CaptureReadError."""
        return read_capture(self._capture(name))

    def ladder(
        self,
        claim: str | None = None,
        *,
        capture: str | None = None,
        protocols: tuple[str, ...] = (),
        first: int | None = ARROWS,
        tcp: bool = False,
    ) -> LadderPicture:
        """Return the ladder diagram of the run's first messages, or with `claim`, of the messages its evidence cites.

        `capture`: name of the capture, by default the one that the result names, or with `claim`, the first one that
        its evidence cites. The other arguments are those of draw_ladder(). Raises KeyError for an unknown claim,
        ValueError for a capture that its evidence does not cite, CaptureReadError.
        """
        frames: tuple[int, ...] = ()
        title = f"Messages of {self.experiment}"
        if claim is not None:
            title = f"Messages of the evidence for {claim}"
            if claim not in self.claims:
                raise KeyError(f"the run judged no claim {claim}, only {', '.join(self.claims) or 'none'}")
            cited = self.claims[claim].cited(self.result.files.capture)
            capture = capture or next(iter(cited), None)
            if cited and capture not in cited:
                raise ValueError(f"the evidence for {claim} cites no frame of {capture}, only of {', '.join(cited)}")
            frames = cited.get(capture or "", ())
        path = self._capture(capture)
        return draw_ladder(path, frames=frames, protocols=protocols, first=first, tcp=tcp, title=title)

    def _capture(self, name: str | None) -> Path:
        name = name or self.result.files.capture or next(iter(self.captures), None)
        if name is None:
            raise CaptureReadError(f"{self.folder} has no capture")
        return self.folder / name

    def __str__(self) -> str:
        claims = ", ".join(f"{claim.id} {claim.verdict}" for claim in self.result.claims)
        return f"{self.experiment}: {claims}; fidelity {self.result.fidelity.verdict}; {self.folder}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        try:
            picture = self.ladder()._repr_html_()
        except (CaptureReadError, OSError):
            picture = ""
        known = known_claims()
        statements = {name: known[name].statement if name in known else "" for name in self.claims}
        return render(
            "run_result.html.j2",
            run=self,
            result=self.result,
            statements=statements,
            evidence_of=evidence_of,
            picture=picture,
        )


def open_run(run: str | Path, results: str | Path = "results") -> RunResult:
    """Return the result of a run, given as a folder, a path below `results`, or EXPERIMENT/latest.

    Raises RunNotFoundError.
    """
    return RunResult(*load_run(str(run), Path(results)))
