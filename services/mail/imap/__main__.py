"""Program of the IMAP server: `python -m services.mail.imap`."""

import argparse
import sys

from services.mail.access.program import access_parser, run_access
from services.mail.imap.session import Session
from services.mail.imap.session_state import Capabilities

DEFAULT_PORT = 143


def main(argv: list[str] | None = None) -> int:
    """Serve IMAP until SIGTERM; return the exit status."""
    options = access_parser("services.mail.imap", "Serve mailboxes by IMAP.", DEFAULT_PORT).parse_args(argv)
    return run_access("imap", options, _session)


def _session(options: argparse.Namespace) -> Session:
    return Session(Capabilities(tls=options.tls is not None, needs_tls=options.need_tls))


if __name__ == "__main__":
    sys.exit(main())
