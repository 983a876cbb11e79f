"""Every check of `lab7 matrix cache` can pass and can fail; a proxy without a store breaks no rule of caching."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from lab7.experiments.cache.conformance import forwarding
from lab7.experiments.cache.conformance.scenario import Check
from lab7.experiments.cache.matrix import CHECKS
from tests.core.experiments.cache.model_caches import (
    Cutting,
    Emptying,
    Forgetful,
    Garbling,
    Greedy,
    Model,
    Refusing,
    Unmodified,
    Verbatim,
    verdict,
)

WRONG = (Verbatim, Greedy, Unmodified, Forgetful, Cutting)
REQUIRED = [check for check in CHECKS if check.level == "required"]
ALLOWED = [check for check in CHECKS if check.level == "allowed"]
RFC_SECTION = re.compile(r"(5861|9110|9111|9112|9211|9213) \d+(\.\d+)*")


def ids(checks: list[Check]) -> list[str]:
    return [check.name for check in checks]


def test_names_are_paths_of_their_own() -> None:
    assert all(count == 1 for count in Counter(check.name for check in CHECKS).values())
    assert all(re.fullmatch(r"[a-z0-9-]+", check.name) for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=ids(list(CHECKS)))
def test_a_check_names_its_section_and_says_a_sentence(check: Check) -> None:
    assert RFC_SECTION.fullmatch(check.section)
    assert check.says.endswith(".")
    assert any(step.expect for step in check.steps)


@pytest.mark.parametrize("check", CHECKS, ids=ids(list(CHECKS)))
def test_a_proxy_that_stores_nothing_breaks_no_rule(check: Check) -> None:
    assert verdict(check, Model) != "fail"


@pytest.mark.parametrize("check", REQUIRED, ids=ids(REQUIRED))
def test_a_required_check_fails_for_some_wrong_cache(check: Check) -> None:
    assert "fail" in {verdict(check, wrong) for wrong in WRONG}


@pytest.mark.parametrize("check", ALLOWED, ids=ids(ALLOWED))
def test_what_is_only_allowed_is_not_failed_by_not_doing_it(check: Check) -> None:
    assert verdict(check, Model) == "unused"


@pytest.mark.parametrize("check", forwarding.CHECKS, ids=ids(list(forwarding.CHECKS)))
def test_sound_forwarding_passes(check: Check) -> None:
    assert verdict(check, Model) == "pass"


def test_whoever_keeps_everything_passes_what_asks_for_reuse_alone() -> None:
    words = {check.name: verdict(check, Greedy) for check in CHECKS}
    for name in ("max-age", "s-maxage", "expires", "heuristic", "set-cookie", "vary-same", "targeted"):
        assert words[name] == "pass"
    for name in ("no-store", "private", "max-age-passed", "vary-other", "invalidated-post", "age", "query"):
        assert words[name] == "fail"


def words(make: type[Model]) -> dict[str, str]:
    return {check.name: verdict(check, make) for check in CHECKS}


@pytest.mark.parametrize("make", [Refusing, Emptying])
def test_an_error_without_the_origin_is_no_reuse(make: type[Model]) -> None:
    said = words(make)
    for name in ("max-age", "s-maxage", "expires", "heuristic", "not-found", "vary-same", "age", "head"):
        assert said[name] == "fail"
    if make is Refusing:
        for name in ("freshened", "validated-by-tag", "validated-by-date", "no-cache-validated"):
            assert said[name] == "fail"


def test_asking_the_origin_is_not_enough() -> None:
    said = words(Garbling)
    for name in ("no-store", "private", "max-age-passed", "vary-star", "no-cache", "invalidated-put", "via"):
        assert said[name] == "fail"
    # What is refused has no content that could be another.
    assert {name for name, word in said.items() if word == "pass"} == {
        "two-framings-of-request",
        "two-lengths-of-request",
        "space-before-colon",
        "two-lengths-of-response",
    }
