"""Test experiment ("exercise") for a server that students write, and its extension by test cases of a course.

An exercise sends test messages to the server, and decides claims (statements about the server) from the packet capture
alone. A course can add claims and test cases of its own, in a folder that is not handed out:

    from lab7.experiments.assignments.catalogue.http_server import exercise
    from lab7.experiments.assignments.programs.exercise import extended

    EXPERIMENT, partial = extended(exercise, {"long": "A long target is refused."}, cases)

Here "long" is the id of a new claim. `cases` is a function of the course: it is called with the exercise's plan of test
cases, and adds further test cases to the plan. lab7 runs EXPERIMENT. If a run is interrupted, lab7 calls `partial` to
decide the claims from the capture so far.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import Lab
from lab7.experiments.harness.parameters import one_of

EXERCISES = ("all", "public")
# Function that adds test cases to an exercise's plan of test cases.
More = Callable[[Any], None]


def no_more(_drawn: Any) -> None:
    """Add no test case: the default of `more` for an exercise without additional test cases."""


def extended(base: ModuleType, statements: Mapping[str, str], more: More) -> tuple[Experiment, Callable[..., Any]]:
    """Return (experiment, function `partial`) of an exercise with additional test cases and claims.

    base: the module of the exercise; statements: the additional claims as text, keyed by new claim ids; more: function
    that adds the test cases. `partial` decides claims from the capture of an interrupted run.
    """
    kind, every = base.EXPERIMENT, {**base.STATEMENTS, **statements}
    group, run = kind.own_claims[0].group, functools.partial(base.run, more=more)
    made = experiment_of(kind.name, kind.question, group, every, kind.roles[0], run)
    return made, functools.partial(base.partial, more=more)


def experiment_of(
    name: str, question: str, protocol: str, statements: Mapping[str, str], role: str, run: Callable[[Run], Outcome]
) -> Experiment:
    """Return the experiment that runs an exercise; `statements` has the text of each claim, keyed by claim id."""
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
    """Return the outcome of an exercise's run: verdicts, fidelity certificate of the emulation, capture file name.

    reference: name of lab7's own program, reported if no other program was tested.
    """
    known, program = {verdict.id: verdict for verdict in verdicts}, context.replacements.get(role)
    every = dict.fromkeys([*statements, *known])
    return Outcome(
        claims=tuple(known.get(claim) or Verdict(claim, "undecided", "Not part of this run.") for claim in every),
        comparisons=(),
        fidelity=lab.fidelity(times=False),
        implementations={"client": "raw octets", role: program.name if program else reference},
        capture=lab.path.name,
    )
