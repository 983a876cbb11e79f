"""Claims of the course (statements that captured packets confirm or contradict), read from experiments/claims.toml.

Each claim has an id, a group, a statement of one sentence, and the check that decides it. The file has no verdicts:
those come from results only.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

CLAIMS_PATH = Path(__file__).resolve().parents[1] / "claims.toml"


class ClaimsError(ValueError):
    """Invalid content of claims.toml; the message names the entry."""


@dataclass(frozen=True)
class Claim:
    """Claim: a statement that captured packets, measured times or measured volumes can confirm or contradict."""

    id: str
    group: str
    statement: str
    check: str


def load_claims(path: Path = CLAIMS_PATH) -> dict[str, Claim]:
    """Return claim id -> claim, in the order of claims.toml. Raises ClaimsError for an invalid file."""
    with path.open("rb") as stream:
        try:
            entries = tomllib.load(stream).get("claim", [])
        except tomllib.TOMLDecodeError as error:
            raise ClaimsError(f"{path.name}: {error}") from error
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(entries, start=1):
        claim = _claim(entry, f"{path.name}, claim {number}")
        if claim.id in claims:
            raise ClaimsError(f"{path.name}, claim {number}: duplicate id {claim.id}")
        claims[claim.id] = claim
    if not claims:
        raise ClaimsError(f"{path.name}: no claims")
    return claims


def _claim(entry: dict[str, Any], where: str) -> Claim:
    names = {field.name for field in fields(Claim)}
    if set(entry) != names:
        wrong = ", ".join(sorted(names.symmetric_difference(entry)))
        raise ClaimsError(f"{where}: missing or unknown fields: {wrong}")
    for name, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise ClaimsError(f"{where}: {name} must be text")
    return Claim(**entry)
