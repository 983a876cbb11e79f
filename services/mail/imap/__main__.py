"""`python -m services.mail.imap`."""

import sys

from services.mail.imap.serving import main

if __name__ == "__main__":
    sys.exit(main())
