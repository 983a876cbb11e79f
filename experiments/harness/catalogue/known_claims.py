"""All claims with a statement: those of the course, and those that installed experiments declare (`own_claims`)."""

from __future__ import annotations

from lab7.experiments.harness.catalogue.listing import listing
from lab7.experiments.harness.claims import Claim, load_claims


def known_claims() -> dict[str, Claim]:
    """Return claim id -> claim: first the claims of claims.toml in its order, then those that experiments declare."""
    own = {claim.id: claim for experiment in listing().experiments.values() for claim in experiment.own_claims}
    return {**load_claims(), **own}
