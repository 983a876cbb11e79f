"""Each claim of the course has a deciding function, and each deciding function a claim."""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from pathlib import Path

from lab7 import experiments
from lab7.experiments.dns.security import EXPERIMENT as DNS_SECURITY
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.judge.verdict import ClaimDecider
from lab7.experiments.http.keep_alive import EXPERIMENT as KEEP_ALIVE
from lab7.experiments.mail.forgery import EXPERIMENT as FORGERY

ROOT = Path(experiments.__file__).parent
# Claims that a second experiment decides from other evidence: under load, or from many faults or arrivals.
TWICE = {"W1", "W2", "W8", "C5", "C6", "C8"}


def deciders() -> dict[str, set[str]]:
    found = defaultdict(set)
    for path in ROOT.glob("*/claims/*.py"):
        name = f"lab7.experiments.{path.parents[1].name}.claims.{path.stem}"
        for decider in vars(importlib.import_module(name)).values():
            if isinstance(decider, ClaimDecider):
                found[decider.claim].add(f"{decider.__module__}:{decider.__name__}")
    return found


def test_every_claim_has_a_deciding_function_and_every_function_a_claim() -> None:
    listed = {*load_claims(), *(claim.id for one in (KEEP_ALIVE, FORGERY, DNS_SECURITY) for claim in one.own_claims)}
    assert set(deciders()) == listed


def test_a_claim_is_decided_by_one_function_for_each_kind_of_evidence() -> None:
    assert {claim: len(names) for claim, names in deciders().items()} == {
        claim: 2 if claim in TWICE else 1 for claim in deciders()
    }


def test_the_names_say_what_is_decided() -> None:
    names = [name.partition(":")[2] for functions in deciders().values() for name in functions]
    assert all(name.startswith("decide_") and not re.search(r"\d_|\d$", name.replace("pop3", "")) for name in names)
