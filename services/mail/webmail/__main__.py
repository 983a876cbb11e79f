"""Entry point of the webmail server: `python -m lab7.services.mail.webmail`."""

import sys

from lab7.services.mail.webmail.program import main

if __name__ == "__main__":
    sys.exit(main())
