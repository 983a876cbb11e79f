"""The list of claims is complete and well formed, and has no verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.claims import ClaimsError, load_claims

COUNTS = {"H": 14, "W": 8, "C": 8, "F": 9, "S": 11, "M": 4, "D": 15}


def test_every_claim_of_the_course_is_there_once() -> None:
    assert set(load_claims()) == {
        f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)
    }


def test_each_statement_is_one_sentence_of_its_own() -> None:
    claims = load_claims().values()
    assert all(claim.statement.endswith(".") for claim in claims)
    assert len({claim.statement for claim in claims}) == len(claims)


ENTRY = '[[claim]]\nid = "H1"\ngroup = "HTTP"\nstatement = "Yes."\ncheck = "capture"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no claims"),
        ("[[claim", "claims.toml: "),
        (ENTRY + ENTRY, "claim 2: duplicate id H1"),
        (ENTRY.replace('check = "capture"\n', ""), "claim 1: missing or unknown fields: check"),
        (ENTRY + 'verdict = "shown"\n', "claim 1: missing or unknown fields: verdict"),
        (ENTRY.replace('"Yes."', '" "'), "claim 1: statement must be text"),
        (ENTRY.replace('"HTTP"', "3"), "claim 1: group must be text"),
    ],
)
def test_a_bad_list_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(ClaimsError) as error:
        load_claims(path)
    assert message in str(error.value)
