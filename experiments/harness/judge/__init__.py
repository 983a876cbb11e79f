"""Evaluation of captures: frames parsed by scapy, TCP streams reassembled, verdicts on claims with evidence.

The judge never uses a service's own parser, so that a defect of a parser cannot hide itself. From the file up: `frames`
(a capture as numbered frames, and its TCP connections), `reassembly` (octets in order), `dialogue` (lines of line
protocols), `decomposition` (a duration split into terms), `verdict` (evidence for or against a claim); `layers` imports
scapy. The messages of each protocol are parsed in its `wire` package, its claims are decided in its `claims` package.
"""
