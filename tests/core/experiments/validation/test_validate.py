"""`lab7 validate`, and the published JSON Schemas, which are those of the types."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from lab7.experiments.harness.cli.inspect import list_command
from lab7.experiments.validation.cli import validate_command
from lab7.experiments.validation.schemas import VERSIONS, schema
from lab7.services.eventlog import EventLog
from tests.core.experiments.harness.samples import sample_result

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "json_schemas.py"


def validate(*arguments: object) -> Done:
    return CliRunner().invoke(validate_command, [str(argument) for argument in arguments])


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("json_schemas", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_published_schemas_are_those_of_the_types() -> None:
    """If not: scripts/json_schemas.py --write, with a new version if a reader of the old one would fail."""
    assert script().outdated() == []


@pytest.mark.parametrize("kind", list(VERSIONS))
def test_a_schema_is_one_and_has_its_version_in_its_name(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$id"] == f"urn:lab7:schema:{kind}:{VERSIONS[kind]}"
    assert json.loads(validate("--schema", kind).output) == schema(kind)


def test_a_result_is_valid_by_folder_and_by_file(tmp_path: Path) -> None:
    path = sample_result().save(tmp_path)
    for name in (tmp_path, path):
        done = validate(name)
        assert (done.exit_code, done.output) == (0, f"{path}: valid (result, format 1)\n")


def test_violations_of_a_result_are_named_by_their_path(tmp_path: Path) -> None:
    data = sample_result().to_json()
    data["claims"][0]["verdict"] = "perhaps"
    del data["seed"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(data))
    done = validate(path)
    assert done.exit_code == 1
    assert '$.claims[0].verdict: "perhaps" is not one of' in done.output
    assert "$: 'seed' is a required property" in done.output
    found = json.loads(validate("--json", path).output)[str(path)]
    assert {one["path"] for one in found["violations"]} == {"$", "$.claims[0].verdict"}


def test_the_listing_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(CliRunner().invoke(list_command, ["--json"]).output)
    assert validate(path).output == f"{path}: valid (list, format 1)\n"
    path.write_text(path.read_text().replace('"default": ', '"dflt": ', 1))
    assert "'default' is a required property" in validate(path).output


def test_event_logs_are_checked_line_by_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    log = EventLog(stream, lambda: 1.5)
    log.write("ready", service="origin", addresses=[["127.0.0.1", 80]])
    log.write("own-event", anything=b"\xff")
    path = tmp_path / "events.jsonl"
    path.write_text(stream.getvalue())
    assert validate(path).output == f"{path}: valid (events, format 1)\n"
    path.write_text(stream.getvalue() + '{"time": "now", "event": "stopped", "service": "origin"}\n{"time": 2, "eve\n')
    done = validate(path)
    assert done.exit_code == 1
    assert "line 3: $.time: \"now\" is not of type 'number'" in done.output
    assert "line 4: $: this is not JSON" in done.output
    path.write_text('{"time": 1, "event": "ready"}\n')
    assert "'addresses' is a required property" in validate(path).output


def test_what_is_none_of_the_kinds_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    assert "name its kind with --as result|list|events" in validate(path).output
    assert validate("--as", "result", path).exit_code == 1
    path.write_bytes(b"\xff\xfe")
    assert "is not text in UTF-8" in validate(path).output
    assert "has no result.json: give a file, or the folder of a run" in validate(tmp_path).output
    assert validate().exit_code == 2
