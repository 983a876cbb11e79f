"""The extent to which lab7 can run, by the findings about a machine."""

from __future__ import annotations

import pytest

from lab7.experiments.harness.doctor import VIRTUAL_TIME, Ability, Finding, ability


def sandbox(good: bool) -> Finding:
    return Finding("sandbox", good, "", real_alone=True)


def virtual(good: bool) -> Finding:
    return Finding(VIRTUAL_TIME, good, "", needed=False)


@pytest.mark.parametrize(
    ("findings", "found"),
    [
        ([sandbox(True), virtual(False), Finding("ip", True, "")], Ability.ALL),
        ([sandbox(False), virtual(True), Finding("ip", True, "")], Ability.VIRTUAL_ALONE),
        ([sandbox(False), virtual(False), Finding("ip", True, "")], Ability.NONE),
        ([sandbox(False), virtual(True), Finding("ip", False, "")], Ability.NONE),
        ([sandbox(True), virtual(True), Finding("ip", False, "")], Ability.NONE),
    ],
)
def test_without_namespaces_virtual_time_is_left(findings: list[Finding], found: Ability) -> None:
    assert ability(findings) is found
