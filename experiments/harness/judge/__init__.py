"""Evaluation of captures: frames parsed by scapy, TCP streams reassembled, verdicts on claims about protocols.

The services' own parsers are never used, so that a defect of a parser cannot hide itself. The modules, from the file
upwards: `frames` (numbered frames of a capture, and its TCP connections), `reassembly` (octets of a TCP stream in
order), `dialogue` (lines of line-based protocols), `decomposition` (a duration split into terms), `verdict` (evidence
for or against a claim). `layers` imports scapy. The messages of each protocol are parsed in its `wire` package, and its
claims are decided in its `claims` package.
"""
