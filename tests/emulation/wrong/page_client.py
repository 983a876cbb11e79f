"""A client that says that it has loaded a page, with one deliberate fault.

    python page_client.py FAULT STRATEGY URL [OBJECT ...]

It loads by 1.0-serial, 1.1-persistent and single. FAULTS says what each fault does; `none` is right.
"""

from __future__ import annotations

import argparse
import socket
import sys
from urllib.parse import urlsplit

FAULTS = {
    "none": "no fault",
    "skips": "the last object is not fetched",
    "others": "another object is fetched in the place of the last one",
    "twice": "the first object is fetched twice",
}


def chosen(fault: str, objects: list[str]) -> list[str]:
    if fault == "skips":
        return objects[:-1]
    if fault == "others":
        return [*objects[:-1], *(["http://www.example.com/more/picture-1.png"] if objects else [])]
    return [*objects, *objects[:1]] if fault == "twice" else objects


def fetch(url: str, version: str, connection: socket.socket) -> None:
    """Get an object; whatever the response is, it will do."""
    parts = urlsplit(url)
    connection.sendall(f"GET {parts.path} HTTP/{version}\r\nHost: {parts.netloc}\r\n\r\n".encode())
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        stream.read(length)
        if version == "1.0":
            # The server's end of the connection, before this one's.
            stream.read()


def main(argv: list[str]) -> None:
    """Load one page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("strategy")
    parser.add_argument("url")
    parser.add_argument("objects", nargs="*")
    options = parser.parse_args(argv)
    urls = [options.url, *chosen(options.fault, options.objects)]
    address = urlsplit(options.url).hostname or "", urlsplit(options.url).port or 80
    if options.strategy == "1.1-persistent":
        with socket.create_connection(address) as connection:
            for url in urls:
                fetch(url, "1.1", connection)
        return
    for url in urls:
        with socket.create_connection(address) as connection:
            fetch(url, "1.0", connection)


if __name__ == "__main__":
    main(sys.argv[1:])
