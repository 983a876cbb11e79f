"""result.json of a run: its verdicts, and its comparisons with the terms of the median sample.

    python docs/examples/read_results.py results/http-versions/*/

The arguments are folders of results. Of each term it prints the measured time and the one of theory.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab7.experiments.harness import Comparison
from lab7.experiments.harness.results.result import Result


def show(comparison: Comparison) -> None:
    """Print one comparison, and its terms beside those of theory."""
    verdict = "within" if comparison.within else "outside"
    print(f"  {comparison.name}: {comparison.formula}, ratio {comparison.ratio:.3f}, {verdict} the tolerance")
    theory_terms = {**dict.fromkeys(comparison.terms, 0.0), **comparison.theory_terms}
    for term, theory_s in theory_terms.items():
        print(f"    {term:18} {comparison.terms.get(term, 0.0) * 1e3:10.2f} ms {theory_s * 1e3:10.2f} ms")


def main(folders: list[str]) -> None:
    """Print the results in these folders."""
    for folder in folders:
        result = Result.load(Path(folder))
        print(f"{result.experiment}, seed {result.seed}, {result.clock.word} time, fidelity {result.fidelity.verdict}")
        for claim in result.claims:
            print(f"  {claim.id:4} {claim.verdict:9} {claim.evidence}")
        for comparison in result.comparisons:
            show(comparison)


if __name__ == "__main__":
    main(sys.argv[1:])
