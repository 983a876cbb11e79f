"""FTP client program that uses Python's ftplib.

    ftplib_client.py HOST USER PASSWORD FOLDER list|get|put active|passive [NAME]...

`get` writes the named files into FOLDER, and `put` reads them from there. The program imports only the standard
library, since any python3 of the machine may run it.
"""

from __future__ import annotations

import sys
from ftplib import FTP
from pathlib import Path

TIMEOUT_S = 30.0


def main(argv: list[str]) -> int:
    """Run one FTP session: list the directory, or get or put the named files."""
    host, user, password, folder, what, mode, *names = argv
    with FTP(host, user, password, timeout=TIMEOUT_S) as ftp:
        ftp.set_pasv(mode == "passive")
        if what == "list":
            ftp.retrlines("LIST")
        for name in names:
            path = Path(folder, name)
            with path.open("rb" if what == "put" else "wb") as file:
                if what == "put":
                    ftp.storbinary(f"STOR {name}", file)
                else:
                    ftp.retrbinary(f"RETR {name}", file.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
