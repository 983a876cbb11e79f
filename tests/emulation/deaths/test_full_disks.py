"""A disk without room, of the results or of temporary files: one sentence, or a whole result."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.emulation.deaths.running_lab import CANNOT, start
from tests.emulation.deaths.test_deaths import DNS, HTTP, MAIL, SHORT
from tests.emulation.support import PATIENCE_S, REPOSITORY

RESULTS, TEMPORARY = "/mnt", "/tmp"


def run_on_disks(cwd: Path, words: tuple[str, ...], disks: dict[str, str], fill: str = "") -> str:
    """Run an experiment with small disks (tmpfs) at these folders; return what it said if it ended with code 3.

    Else the result is whole: it has every claim shown, and nothing was said.
    """
    mounts = [f"mount -t tmpfs -o {options} none {folder} || exit 99" for folder, options in disks.items()]
    fills = [f"{{ cat /dev/zero > {fill}/fill; }} 2> /dev/null"] if fill else []
    script = "\n".join([*mounts, *fills, 'exec "$@"'])
    entering = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
    run = start("run", *words, "--time", "real", "--json", "--results", RESULTS, cwd=cwd, entering=entering)
    output, errors = run.process.communicate(timeout=2 * PATIENCE_S)
    said = errors.decode()
    if run.process.returncode == CANNOT:
        assert output == b""
        (line,) = said.splitlines()
        assert line.startswith("lab7: ")
        return line
    assert (run.process.returncode, said) == (0, "")
    (result,) = json.loads(output)["results"]
    assert {claim["verdict"] for claim in result["claims"]} == {"shown"}
    return ""


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (HTTP, "4k"),
        *(
            pytest.param(words, size, marks=pytest.mark.slow)
            for words in (HTTP, DNS, MAIL)
            for size in ("8k", "16k", "32k", "64k", "128k")
        ),
        *(pytest.param(MAIL, size, marks=pytest.mark.slow) for size in ("512k", "600k", "1200k")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_results_folder_without_room_is_one_sentence(tmp_path: Path, words: tuple[str, ...], size: str) -> None:
    said = run_on_disks(tmp_path, SHORT[words], {RESULTS: f"size={size}"})
    print(words[0], size, said)
    if size in ("4k", "8k", "16k"):
        assert said
    assert not said or "No space left on device" in said


@pytest.mark.slow
@pytest.mark.parametrize("words", [HTTP, DNS, MAIL], ids=lambda words: words[0])
@pytest.mark.parametrize("options", ["size=16k", "size=16k,nr_inodes=1"], ids=["full", "without inodes"])
def test_a_full_folder_of_temporary_files_is_one_sentence_or_changes_nothing(
    tmp_path: Path, words: tuple[str, ...], options: str
) -> None:
    if any(place.is_relative_to(TEMPORARY) for place in (Path(sys.prefix), REPOSITORY)):
        pytest.skip("lab7 is in /tmp itself")
    disks = {TEMPORARY: options, RESULTS: "size=100m"}
    said = run_on_disks(tmp_path, SHORT[words], disks, fill=TEMPORARY)
    print(words[0], options, said)
    assert not said or "No space left on device" in said
