"""Program that stores responses until it is killed: `python -m tests.core.services.http.storage.busy DIR`.

Each content contains its URI and its entity tag, so that mixed content is detected.
"""

import itertools
import random
import sys
from dataclasses import replace
from pathlib import Path

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.storage.store import Store
from tests.core.services.http.storage.entries import URI, response, same_key

SIZES = (0, 10, 3_000, 70_000, 500_000)
URIS = 12


def content_for(uri: bytes, tag: bytes) -> bytes:
    """Return the content for a URI and an entity tag."""
    size = SIZES[int(tag.strip(b'"')) % len(SIZES)]
    seed = uri + tag
    return (seed * (size // len(seed) + 1))[:size]


def open_store(directory: Path) -> Store:
    """Open the store with the limits of these tests, which cause evictions."""
    return Store(same_key=same_key, directory=directory, disk_octets=3_000_000, memory_octets=1_000_000)


def expected(stored: StoredResponse) -> bytes:
    """Return the expected content of a stored response."""
    return content_for(stored.uri, stored.response.fields.get(b"etag") or b"")


def main(directory: Path) -> None:
    """Run until killed; print a line with a URI and its newest stored entity tag for each commit."""
    store = open_store(directory)
    chance = random.Random()
    print("ready", flush=True)
    for count in itertools.count():
        uri, tag = URI + b"%d" % chance.randrange(URIS), b'"%d"' % chance.randrange(1_000_000)
        writer = store.begin(response(uri, tag=tag))
        content = content_for(uri, tag)
        for start in range(0, len(content), 50_000):
            writer.write(content[start : start + 50_000])
        if count % 7 == 0:
            writer.abort()
        else:
            writer.commit()
        if count % 5 == 0:
            for old in store.find(uri):
                lines = old.response.fields.adding((b"X-Fresh", b"%d" % count))
                store.replace(old, replace(old, response=replace(old.response, fields=lines)))
        if count % 11 == 0:
            store.remove_uri(URI + b"%d" % chance.randrange(URIS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
