"""Collection of all known claims: those of the course (claims.toml), and those that experiments declare (`own_claims`).

A claim is a statement about a protocol that captured packets confirm or contradict.
"""

from __future__ import annotations

from lab7.experiments.harness.catalogue.listing import listing
from lab7.experiments.harness.claims import Claim, load_claims


def known_claims() -> dict[str, Claim]:
    """Return claim id -> claim: first the claims of claims.toml in its order, then those that experiments declare."""
    own = {claim.id: claim for experiment in listing().experiments.values() for claim in experiment.own_claims}
    return {**load_claims(), **own}
