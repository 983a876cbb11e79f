"""Export of a run's claims as JUnit XML, the test report format of continuous integration services.

A claim is a statement about a protocol that the run's packets confirm or contradict. Each claim is a test case: a shown
claim passes, a failed claim is a failure, an undecided claim is skipped with its evidence as the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.judge.verdict import evidence_of
from lab7.experiments.harness.results.result import Result

# Characters that XML 1.0 (section 2.2) excludes.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_of(result: Result, claims: Mapping[str, Claim]) -> str:
    """Return the claims of a result as an XML document with one test suite."""
    words = [claim.verdict for claim in result.claims]
    suite = ElementTree.Element(
        "testsuite",
        name=result.experiment,
        tests=str(len(words)),
        failures=str(words.count("failed")),
        errors="0",
        skipped=str(words.count("undecided")),
        time=f"{result.duration_s:.3f}",
        timestamp=result.started,
    )
    for claim in result.claims:
        statement = claims[claim.id].statement if claim.id in claims else ""
        name = _text(f"{claim.id} {statement}".strip())
        case = ElementTree.SubElement(suite, "testcase", name=name, classname=f"lab7.{result.experiment}", time="0")
        evidence = _text(evidence_of(claim, result.files.capture))
        if claim.verdict == "failed":
            ElementTree.SubElement(case, "failure", message=evidence, type="failed").text = evidence
        elif claim.verdict == "undecided":
            ElementTree.SubElement(case, "skipped", message=evidence)
        else:
            ElementTree.SubElement(case, "system-out").text = evidence
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
