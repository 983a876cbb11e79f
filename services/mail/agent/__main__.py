"""Entry point of the mail user agent: `python -m services.mail.agent`."""

import sys

from services.mail.agent.command import main

if __name__ == "__main__":
    sys.exit(main())
