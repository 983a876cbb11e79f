"""Program of the POP3 server: `python -m services.mail.pop3`."""

import argparse
import os
import sys
from itertools import count

from services.mail.access.program import access_parser, run_access
from services.mail.pop3.session import Session
from services.mail.pop3.session_state import Capabilities

DEFAULT_PORT = 110
_numbers = count(1)


def main(argv: list[str] | None = None) -> int:
    """Serve POP3 until SIGTERM; return the exit status."""
    options = access_parser("services.mail.pop3", "Serve maildrops by POP3.", DEFAULT_PORT).parse_args(argv)
    return run_access("pop3", options, _session)


def _session(options: argparse.Namespace) -> Session:
    # RFC 1939 section 7: the timestamp differs in every greeting.
    unique = f"<{os.getpid()}.{next(_numbers)}.{os.urandom(8).hex()}@{os.uname().nodename}>"
    return Session(
        Capabilities(tls=options.tls is not None, needs_tls=options.need_tls, timestamp=unique.encode("ascii"))
    )


if __name__ == "__main__":
    sys.exit(main())
