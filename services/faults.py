"""Deliberate protocol faults of services, enabled by `--fault NAME`: exercises in troubleshooting, and test input.

    $ python -m lab7.services.http.origin --root www --port 8080 --fault body-in-304
    READY http 127.0.0.1:8080 [::1]:8080 fault=body-in-304

Most faults are common misconceptions of a protocol. Each protocol has one module with the names of its faults and the
code that makes them (services/http/faults.py, services/dns/faults.py, services/ftp/faults.py, services/mail/faults.py).
With the flag, a service replaces one of its classes by a faulty one; without the flag none of this code runs. `lab7
judge` checks the messages in a packet capture against requirements of the RFCs; docs/faults.md lists all faults, each
with the check that detects it.
"""

import argparse
from collections.abc import Mapping


def add_fault_flag(parser: argparse.ArgumentParser, faults: Mapping[str, str]) -> None:
    """Add the flag --fault, which accepts the names in `faults` (name -> description) and lists them in --help."""
    listed = "; ".join(f"{name}: {text}" for name, text in faults.items())
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=tuple(faults),
        metavar="NAME",
        help=f"show a fault on purpose, for teaching (repeatable; default: none): {listed}",
    )


def fault_words(options: argparse.Namespace) -> list[str]:
    """Return `fault=NAME` for each fault that --fault enables, without duplicates.

    The service appends them to its READY line, which it prints once it listens.
    """
    return [f"fault={name}" for name in dict.fromkeys(getattr(options, "fault", ()))]
