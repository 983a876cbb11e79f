"""Program `python -m lab7.experiments.view NAME`: HTTP server of a network's live view (`lab7 up --view`)."""

from __future__ import annotations

import sys

from lab7.experiments.view.web import serve
from lab7.topologies.emulation.errors import EmulationError


def main(argv: list[str]) -> int:
    """Serve the web page of the network argv[0] until the network is down; print the page's address."""
    try:
        serve(argv[0], 0, lambda url: print(f"view: {url}", flush=True))
    except KeyboardInterrupt:
        # Ctrl-C also reaches `lab7 up`, which prints the message.
        return 0
    except EmulationError as error:
        # The network did not start, or cannot be served; the error message has the reason.
        print(f"lab7: view: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
