"""The GitHub Action, the container and the examples for CI: their scripts, run, and their files, read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
ACTION = REPOSITORY / ".github" / "actions" / "lab7"
EXAMPLES = REPOSITORY / "docs" / "examples" / "ci"
# Stands for lab7: notes its words, and leaves the result of a run as `lab7 run` does.
LAB7 = """#!/bin/sh
echo "$@" >> calls
case $1 in
run) mkdir -p out/http-versions/new && echo '{}' > out/http-versions/new/result.json; exit 1 ;;
export) [ "$3" = junit ] && echo '<testsuites/>' > "$5"; [ "$3" = markdown ] && echo "## summary of $2" ;;
esac
exit 0
"""


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def act(folder: Path, lab7: str = LAB7, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the action's script in `folder`, with a stand-in for lab7."""
    (folder / "lab7").write_text(lab7)
    (folder / "lab7").chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "LAB7_BIN": "./lab7", "INPUT_RESULTS": "out"}
    environment |= {"GITHUB_STEP_SUMMARY": "summary.md", **inputs}
    return subprocess.run(
        [str(ACTION / "run.sh")], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("inputs", [{}, {"INPUT_EXPERIMENTS": " \n"}])
def test_the_action_does_not_run_every_experiment_by_mistake(tmp_path: Path, inputs: dict[str, str]) -> None:
    done = act(tmp_path, **inputs)
    assert (done.returncode, (tmp_path / "calls").exists()) == (2, False)
    assert done.stderr.startswith("lab7: the input experiments is empty")
    act(tmp_path, INPUT_EXPERIMENTS="all")
    assert (tmp_path / "calls").read_text().splitlines()[0] == "run --results out --seed 1"


def test_the_action_takes_files_written_on_windows(tmp_path: Path) -> None:
    act(
        tmp_path,
        INPUT_EXPERIMENTS="http-versions\r\n",
        INPUT_REPLACE="  origin=nginx \r\n\r\n",
        INPUT_SET="rtt=5ms\r\n",
    )
    assert (tmp_path / "calls").read_text().splitlines()[0] == (
        "run --results out --seed 1 --replace origin=nginx --set rtt=5ms http-versions"
    )


def test_the_action_says_in_the_summary_that_there_is_no_result(tmp_path: Path) -> None:
    done = act(tmp_path, "#!/bin/sh\nexit 4\n", INPUT_EXPERIMENTS="http-versions")
    assert (done.returncode, done.stderr) == (4, "")
    assert "lab7 run ended with exit code 4" in (tmp_path / "summary.md").read_text()


def test_a_report_that_cannot_be_written_does_not_hide_the_exit_code(tmp_path: Path) -> None:
    done = act(tmp_path, LAB7.replace("export) ", "export) exit 3; "), INPUT_EXPERIMENTS="http-versions")
    assert done.returncode == 1
    assert "no JUnit file of out/http-versions/new" in done.stderr


def test_the_action_runs_and_reports_only_new_runs(tmp_path: Path) -> None:
    (tmp_path / "lab7").write_text(LAB7)
    (tmp_path / "lab7").chmod(0o755)
    old = tmp_path / "out" / "http-versions" / "old"
    old.mkdir(parents=True)
    (old / "result.json").write_text("{}")
    subprocess.run(["touch", "-d", "2020-01-01", str(old / "result.json")], check=True)
    done = subprocess.run(
        [str(ACTION / "run.sh")],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "LAB7_BIN": "./lab7",
            "INPUT_EXPERIMENTS": "http-versions\nown_lab.py",
            "INPUT_REPLACE": "origin=python3 my_server.py --port {port}\n\n",
            "INPUT_SET": "rtt=50ms\nbw=10",
            "INPUT_RESULTS": "out",
            "INPUT_STRICT": "true",
            "GITHUB_STEP_SUMMARY": "summary.md",
            "GITHUB_OUTPUT": "output",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    # A claim that is not shown fails the job, and is reported all the same.
    assert (done.returncode, done.stderr) == (1, "")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == (
        "run --results out --seed 1 --replace origin=python3 my_server.py --port {port} --set rtt=50ms --set bw=10 "
        "--strict http-versions own_lab.py"
    )
    assert len(calls) == 3
    assert [path.name for path in (tmp_path / "out" / "junit").iterdir()] == ["http-versions-new.xml"]
    assert (tmp_path / "summary.md").read_text() == "## summary of out/http-versions/new\n"
    assert (tmp_path / "output").read_text() == "results=out\njunit=out/junit\n"


def test_the_action_hands_on_every_input() -> None:
    action = load(ACTION / "action.yml")
    steps = action["runs"]["steps"]
    used = set(re.findall(r"inputs\.(\w+)", json.dumps(steps)))
    assert used == set(action["inputs"])
    script = (ACTION / "run.sh").read_text()
    given = {name for step in steps for name in step.get("env", {}) if name.startswith("INPUT_")}
    assert given == set(re.findall(r"INPUT_\w+", script)) - {"INPUT_"}
    for step in steps:
        if "run" in step:
            assert step["shell"] == "bash"
            assert (ACTION / Path(step["run"].strip("\"'")).name).stat().st_mode & 0o111
    assert {value["value"].split(".")[-1].rstrip(" }") for value in action["outputs"].values()} == {"results", "junit"}


def test_the_examples_name_what_is_there() -> None:
    (github,) = load(EXAMPLES / "github.yml")["jobs"].values()
    uses = [step for step in github["steps"] if "lab7" in step.get("uses", "")]
    assert len(uses) == 1
    assert uses[0]["uses"].partition("/lab7/")[2].partition("@")[0] == ".github/actions/lab7"
    assert set(uses[0]["with"]) <= set(load(ACTION / "action.yml")["inputs"])
    gitlab = load(EXAMPLES / "gitlab.yml")["lab7"]
    assert gitlab["script"][0].endswith("/opt/lab7/.github/actions/lab7/run.sh")


def test_the_development_container_is_built_from_the_container_file() -> None:
    settings = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text())
    assert (REPOSITORY / ".devcontainer" / settings["build"]["dockerfile"]).resolve() == REPOSITORY / "Containerfile"
    container = (REPOSITORY / "Containerfile").read_text()
    assert all(f"ARG {name}=" in container for name in settings["build"]["args"])
    options = re.findall(r"^ *(--\w[\w-]*)\)", (REPOSITORY / "scripts" / "provision.sh").read_text(), re.MULTILINE)
    assert set(re.findall(r'"?(--\w+)', settings["build"]["args"]["SETUP"])) <= set(options)
    # Docker reads the one, podman the other.
    assert (REPOSITORY / ".dockerignore").read_text() == (REPOSITORY / ".containerignore").read_text()


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("shellcheck", [str(ACTION / "run.sh"), str(ACTION / "setup.sh")]),
        ("hadolint", ["--failure-threshold", "warning", str(REPOSITORY / "Containerfile")]),
        ("actionlint", [str(EXAMPLES / "github.yml")]),
        ("yamllint", ["-d", "{extends: default, rules: {line-length: disable, document-start: disable}}", str(ACTION)]),
    ],
)
def test_linters_find_nothing(tool: str, words: list[str]) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
