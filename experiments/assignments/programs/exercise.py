"""Exercise of a program assignment: an experiment with one role, whose claims are decided from the capture alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from experiments.harness.claims import Claim
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from experiments.harness.judge.verdict import Verdict
from experiments.harness.measurement import Lab
from experiments.harness.parameters import one_of

EXERCISES = ("all", "public")


def experiment_of(
    name: str, question: str, protocol: str, statements: Mapping[str, str], role: str, run: Callable[[Run], Outcome]
) -> Experiment:
    """Return the experiment of an exercise; statements: of its claims, by id."""
    basis = "Messages of the program to requests in octets"
    what = "the requests: all, or those of public stages"
    return Experiment(
        name=name,
        question=question,
        claims=tuple(statements),
        own_claims=tuple(Claim(each, protocol, statement, basis) for each, statement in statements.items()),
        parameters={"exercise": Parameter(EXERCISES[0], one_of(*EXERCISES), what)},
        run=run,
        repeat=1,
        judges_messages=True,
        roles=(role,),
    )


def outcome_of(
    context: Run, lab: Lab, verdicts: Iterable[Verdict], statements: Mapping[str, str], role: str, reference: str
) -> Outcome:
    """Return the outcome of an exercise after its network has stopped; reference: lab7's own program in the role."""
    known, program = {verdict.id: verdict for verdict in verdicts}, context.replacements.get(role)
    return Outcome(
        claims=tuple(known.get(claim) or Verdict(claim, "undecided", "Not part of this run.") for claim in statements),
        comparisons=(),
        fidelity=lab.fidelity(times=False),
        implementations={"client": "raw octets", role: program.name if program else reference},
        capture=lab.path.name,
    )
