"""Comparison of two runs of one seed: identical, or the first difference by file, frame and field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.report.page import write_report
from lab7.experiments.harness.results.repeatability import first_difference, sentence
from lab7.experiments.harness.results.result import Files, Result
from tests.core.experiments.harness.samples import sample_result

FRAMES = ((0, 1_000, b"question"), (1, 2_000, b"answer"))


def capture(path: Path, frames: tuple[tuple[int, int, bytes], ...] = FRAMES) -> None:
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, ["client", "origin"])
        for frame in frames:
            writer.packet(*frame)
        for interface in (0, 1):
            writer.statistics(interface, 1, 0)


def written(folder: Path, result: Result) -> Path:
    folder.mkdir()
    result.save(folder)
    write_report(folder, result, {})
    (folder / "timings.csv").write_text("name,total_s\npage,0.25\n")
    capture(folder / "capture.pcapng")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    result = sample_result()
    later = replace(result, started="2031-05-06T07:08:09+00:00")
    return written(tmp_path / "one", result), written(tmp_path / "other", later)


def test_the_date_alone_may_differ(folders: tuple[Path, Path]) -> None:
    assert first_difference(*folders) is None


def _frame(number: int, changed: tuple[int, int, bytes]) -> Callable[[Path], None]:
    frames = (*FRAMES[: number - 1], changed, *FRAMES[number:])
    return lambda folder: capture(folder / "capture.pcapng", frames)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_frame(2, (1, 2_001, b"answer")), "capture.pcapng, frame 2 at origin: time in ns 2000, then 2001"),
        (_frame(2, (1, 2_000, b"anSwer")), "capture.pcapng, frame 2 at origin: octet 2 is 0x73, then 0x53"),
        (_frame(2, (0, 2_000, b"answer")), "capture.pcapng, frame 2 at origin: interface origin, then client"),
        (lambda folder: capture(folder / "capture.pcapng", FRAMES[:1]), "frame 2: only one of the two captures has it"),
        (
            lambda folder: (folder / "timings.csv").write_text("name,total_s\npage,0.26\n"),
            "timings.csv, line 2: page,0.25, then page,0.26",
        ),
        (lambda folder: (folder / "timings.csv").unlink(), "only one of the two runs wrote timings.csv"),
        (
            lambda folder: replace(Result.load(folder), seed=9).save(folder),
            "result.json, result.seed: ",
        ),
    ],
)
def test_the_first_difference_is_named(folders: tuple[Path, Path], change: Callable[[Path], object], said: str) -> None:
    change(folders[1])
    assert said in str(first_difference(*folders))


def test_a_sentence_has_the_hash_and_names_programs_that_no_seed_fixes() -> None:
    result = sample_result(files=Files("capture.pcapng", None, None, "ab12"))
    assert sentence(result, None, []).endswith("twice: identical; SHA-256 of capture.pcapng: ab12")
    said = sentence(
        replace(result, implementations={"origin": "nginx 1.22"}), "timings.csv, line 2: 1, then 2", ["origin"]
    )
    assert "different: timings.csv, line 2" in said
    assert "(programs other than lab7 took part (origin: nginx 1.22)" in said
