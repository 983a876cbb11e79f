"""`python -m services.mail.pop3`."""

import sys

from services.mail.pop3.serving import main

if __name__ == "__main__":
    sys.exit(main())
