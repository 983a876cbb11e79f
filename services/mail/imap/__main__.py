"""Entry point of the IMAP server: `python -m lab7.services.mail.imap`."""

import sys

from lab7.services.mail.access.program import run_access
from lab7.services.mail.faults import IMAP_FAULTS
from lab7.services.mail.imap.session import Session

DEFAULT_PORT = 143
# RFC 8314 section 3
TLS_PORT = 993


def main(argv: list[str] | None = None) -> int:
    """Serve IMAP until SIGTERM; return the exit status."""
    description = "Serve mailboxes by IMAP (IMAP4rev1 and IMAP4rev2; the response to CAPABILITY lists the extensions)."
    return run_access("imap", description, DEFAULT_PORT, TLS_PORT, Session.offering, argv, IMAP_FAULTS)


if __name__ == "__main__":
    sys.exit(main())
