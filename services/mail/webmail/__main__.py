"""Entry point of the webmail server: `python -m services.mail.webmail`."""

import sys

from services.mail.webmail.program import main

if __name__ == "__main__":
    sys.exit(main())
