"""Entry point of the POP3 server: `python -m lab7.services.mail.pop3`."""

import os
import sys
from itertools import count

from lab7.services.mail.access.program import run_access
from lab7.services.mail.faults import POP3_FAULTS
from lab7.services.mail.pop3.session import Session
from lab7.services.mail.pop3.session_state import Capabilities

DEFAULT_PORT = 110
# RFC 8314 section 3
TLS_PORT = 995
_numbers = count(1)


def main(argv: list[str] | None = None) -> int:
    """Serve POP3 until SIGTERM; return the exit status."""
    return run_access("pop3", "Serve maildrops by POP3.", DEFAULT_PORT, TLS_PORT, _session, argv, POP3_FAULTS)


def _session(tls: bool, needs_tls: bool) -> Session:
    # RFC 1939 section 7: the timestamp, APOP's challenge, differs in every greeting.
    unique = f"<{os.getpid()}.{next(_numbers)}.{os.urandom(8).hex()}@{os.uname().nodename}>"
    return Session(Capabilities(tls, needs_tls, unique.encode("ascii")))


if __name__ == "__main__":
    sys.exit(main())
