"""The experiments on the CDN, with lab7's own parts and with real ones in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.implementations.registry import implementations, of_role
from tests.emulation.support import PATIENCE_S, lab7, one_sentence, start_lab7

VISITS = ("cdn", "--repeat", "1", "--set", "scale=0.3", "--set", "crowd=8")
# Decided by packets alone. C5 hangs on times as well, which a busy machine may spoil.
BY_PACKETS = ("C2", "C3", "C4", "C6", "C7")


def result_of(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    run = start_lab7("run", *arguments, "--again", "0", "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=3 * PATIENCE_S)
    assert errors == b""
    result: dict[str, Any] = json.loads(output)["results"][0]
    return result


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in result["claims"]}


REAL = ("replica=nginx", "replica=varnish", "replica=squid", "cdn-dns=bind", "cdn-dns=gdnsd")


@pytest.mark.parametrize("replacement", ["", *(pytest.param(each, marks=pytest.mark.slow) for each in REAL)])
def test_a_cdn_shows_what_packets_decide(replacement: str, tmp_path: Path) -> None:
    role, _, name = replacement.partition("=")
    if role and not implementations()[role, name].installed():
        pytest.skip(f"{name} is not installed")
    result = result_of(tmp_path, *VISITS, *(("--replace", replacement) if role else ()))
    found = verdicts(result)
    assert {claim: found[claim] for claim in BY_PACKETS} == dict.fromkeys(BY_PACKETS, "shown")
    assert set(found) == {"C5", *BY_PACKETS}
    assert len(result["comparisons"]) == 12
    assert result["implementations"].get(role, "").startswith(name)


@pytest.mark.slow
def test_a_lone_origin_is_set_beside_its_closed_form(tmp_path: Path) -> None:
    result = result_of(tmp_path, "cdn-scaling", "--set", "clients=1,12", "--set", "for=1s")
    found = verdicts(result)
    assert set(found) == {"C1", "C5", "C6"}
    assert found["C6"] == "shown"
    assert [one["name"] for one in result["comparisons"]] == ["origin alone, 1 client", "origin alone, 12 clients"]


@pytest.mark.slow
def test_a_sweep_that_stays_below_the_knee_decides_nothing(tmp_path: Path) -> None:
    result = result_of(tmp_path, "cdn-scaling", "--set", "clients=1,2", "--set", "for=1s", "--set", "bw=50")
    assert verdicts(result)["C1"] == "undecided"


@pytest.mark.parametrize("fault", ["service", pytest.param("link", marks=pytest.mark.slow)])
def test_users_of_a_replica_that_fails_are_served_again(fault: str, tmp_path: Path) -> None:
    result = result_of(tmp_path, "cdn-failover", "--set", f"fault={fault}", "--set", "ttl=1")
    assert verdicts(result) == {"C8": "shown"}


def test_a_name_server_without_checks_is_refused_where_they_matter(tmp_path: Path) -> None:
    if not implementations()["cdn-dns", "bind"].installed():
        pytest.skip("bind is not installed")
    done = lab7("run", "cdn-failover", "--replace", "cdn-dns=bind", cwd=tmp_path)
    assert done.returncode != 0
    assert "bind has no health checks" in one_sentence(done)


def test_replicas_are_the_proxies_that_can_be_one() -> None:
    replicas = {one.name for one in of_role("replica")}
    assert replicas == {one.name for one in of_role("proxy") if "reverse" in one.modes}
    assert all(one.modes == ("reverse",) for one in of_role("replica"))
