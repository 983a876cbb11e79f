"""The judge: captures parsed by scapy, TCP streams reassembled, verdicts with evidence.

It never uses a service's own parser, so that a defect of a parser cannot hide itself. From the file up: `frames` (a
capture as numbered frames), `reassembly` (octets in order), `tcp` (connections as one interface sees them), `dialogue`
(lines of line protocols), `decomposition` (a duration split into terms), `verdict` (evidence for or against a claim).
The messages of each protocol are parsed in its `wire` package, its claims are decided in its `claims` package.
"""

# First: it imports scapy.
from experiments.harness.judge import scapy_setup  # noqa: F401
from experiments.harness.judge.decomposition import Decomposition
from experiments.harness.judge.frames import CaptureFile, Frame, read_capture
from experiments.harness.judge.verdict import Verdict

__all__ = ["CaptureFile", "Decomposition", "Frame", "Verdict", "read_capture"]
