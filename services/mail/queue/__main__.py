"""Program that lists the messages in an MTA's queue as JSON lines, also while the MTA runs.

    $ python -m lab7.services.mail.queue queue
    {"id": "64b0...", "accepted_s": 1752148740.0, "from": "alice@example.org", "to": ["bob@example.com"],
     "last": ["450 ..."], "size_octets": 1042, "tries": 3, "next_s": 1752150000.0}

`to` and `last` have the undelivered recipients and the last reply for each, `tries` is the number of attempts so far,
and `next_s` is the time of the next attempt; times are in seconds since 1970 UTC.
"""

import argparse
import json
import sys
from pathlib import Path

from lab7.services.mail.queue.entry import Entry
from lab7.services.mail.queue.journal import read_entries


def summarise(entry: Entry) -> dict[str, object]:
    """Return a queue entry as JSON-serialisable data: envelope, and last reply for each undelivered recipient."""
    return {
        "id": entry.id,
        "accepted_s": round(entry.accepted_s, 3),
        "from": "" if entry.reverse_path is None else str(entry.reverse_path),
        "to": [str(entry.recipients[at].mailbox) for at in entry.open_recipients],
        "last": [str(entry.recipients[at].last or "") for at in entry.open_recipients],
        "size_octets": entry.size_octets,
        "tries": entry.tries,
        "next_s": round(entry.next_s, 3),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the queued messages, oldest first; returns 0, or 2 if the directory has no queue."""
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.mail.queue", description="List the messages in a queue."
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of the queue, as in --queue of the MTA")
    options = parser.parse_args(argv)
    try:
        entries = read_entries(options.directory)
    except OSError as error:
        print(f"queue: cannot read {options.directory} ({error.strerror})", file=sys.stderr)
        return 2
    for entry in entries:
        if not entry.is_final:
            print(json.dumps(summarise(entry)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
