"""Entry point of the mail user agent: `python -m lab7.services.mail.agent`."""

import sys

from lab7.services.mail.agent.command import main

if __name__ == "__main__":
    sys.exit(main())
