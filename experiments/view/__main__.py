"""Program `python -m lab7.experiments.view NAME`: the page of a network (`lab7 up --view`), until it is down."""

from __future__ import annotations

import sys

from lab7.experiments.view.web import serve
from lab7.topologies.emulation.errors import EmulationError


def main(argv: list[str]) -> int:
    """Serve the page of the network argv[0], once it is up; print its address."""
    try:
        serve(argv[0], 0, lambda url: print(f"view: {url}", flush=True))
    except KeyboardInterrupt:
        # Ctrl-C reaches this process, too; `lab7 up` says what there is to say.
        return 0
    except EmulationError as error:
        # A network that did not come up has said why.
        print(f"lab7: view: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
