"""The topology of a CDN: who is led where, and what cannot be drawn."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab7.topologies.cdn import ALIAS, NAME, ORIGIN, CdnPlan, CdnTopo, replica_address
from lab7.topologies.emulation.testbed import Testbed

WELCOME = b"travelled over an emulated network"
ASK = ["dig", "+short", "www.example.com"]


@pytest.mark.parametrize(("resolver", "led_to"), [("public", "eu"), ("subnet", "ap")])
def test_behind_a_public_resolver_it_takes_the_client_subnet_to_be_led_well(resolver: str, led_to: str) -> None:
    with Testbed(CdnTopo(resolver=resolver, scale=0.1), links="wire") as bed:
        answer = bed.host("ap-user").run(ASK).stdout.decode().split()
    assert answer == [ALIAS, replica_address(led_to)]


def test_without_the_cdn_the_name_is_the_origins() -> None:
    with Testbed(CdnTopo(cdn="no", scale=0.1), links="wire") as bed:
        assert bed.host("us-user").run(ASK).stdout.decode().split() == [ORIGIN]
        assert WELCOME in bed.host("us-user").run(["curl", "-s", "http://www.example.com/"]).stdout


@pytest.mark.parametrize("wrong", [{"cdn": "perhaps"}, {"resolver": "none"}, {"clients": 65}, {"replicas": 0}])
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CdnTopo(**wrong)


@pytest.mark.skipif(shutil.which("named-checkzone") is None, reason="bind9-utils is not installed")
def test_every_zone_of_the_plan_is_one_that_bind_takes(tmp_path: Path) -> None:
    for plan in (CdnPlan(), CdnPlan(through_cdn=False)):
        names = plan.names()
        for origin in names.zones:
            file = tmp_path / "zone"
            file.write_text(names.master_file(origin))
            done = subprocess.run(["named-checkzone", origin, str(file)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
    assert NAME in names.master_file("example.com.")
