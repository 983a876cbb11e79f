"""The experiments on DNS, with lab7's own servers and with real ones in their place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.emulation.support import PATIENCE_S, start_lab7

RECORDS = ("D1", "D2", "D3", "D4", "D5", "D6", "D14", "D15")


def result_of(tmp_path: Path, *arguments: str) -> dict[str, object]:
    run = start_lab7("run", *arguments, "--json", "--again", "0", cwd=tmp_path)
    output, errors = run.communicate(timeout=3 * PATIENCE_S)
    assert errors == b""
    result: dict[str, object] = json.loads(output)["results"][0]
    return result


def verdicts(result: dict[str, object]) -> dict[str, str]:
    claims = result["claims"]
    assert isinstance(claims, list)
    return {claim["id"]: claim["verdict"] for claim in claims}


@pytest.mark.parametrize(
    ("role", "name", "program"),
    [
        ("", "", "sh"),
        pytest.param("authoritative", "bind", "named", marks=pytest.mark.slow),
        pytest.param("authoritative", "nsd", "nsd", marks=pytest.mark.slow),
        pytest.param("local", "unbound", "unbound", marks=pytest.mark.slow),
    ],
)
def test_records_of_every_kind_come_from_whoever_serves_them(
    tmp_path: Path, role: str, name: str, program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    replace = ("--replace", f"{role}={name}") if role else ()
    result = result_of(tmp_path, "dns-records", "--set", "scale=0.1", *replace)
    assert verdicts(result) == dict.fromkeys(RECORDS, "shown")
    implementations = result["implementations"]
    assert isinstance(implementations, dict)
    assert implementations.get(role, "").startswith(name)


def test_a_cache_spares_the_root_and_tells_old_addresses(tmp_path: Path) -> None:
    result = result_of(tmp_path, "dns-caching", "--set", "queries=60", "--set", "ttl=0,1,3", "--set", "periods=30")
    assert verdicts(result) == dict.fromkeys(("D11", "D12", "D13"), "shown")


def test_a_name_is_resolved_iteratively_recursively_and_from_the_cache(tmp_path: Path) -> None:
    result = result_of(tmp_path, "dns-resolution", "--repeat", "1")
    found = verdicts(result)
    assert found["D7"] == found["D10"] == "shown"
    assert set(found) == {"D7", "D8", "D9", "D10"}
    comparisons = result["comparisons"]
    assert isinstance(comparisons, list)
    assert [one["name"] for one in comparisons] == ["iterative", "recursive", "cached"]


def test_the_chain_of_trust_refuses_a_forged_answer_and_costs_what_theory_says(tmp_path: Path) -> None:
    result = result_of(tmp_path, "dns-security", "--repeat", "1", "--set", "scale=0.3")
    found = verdicts(result)
    assert found["V1"] == found["V2"] == "shown"
    assert set(found) == {"V1", "V2", "V3"}
