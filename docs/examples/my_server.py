"""A web server by Python's own library, to be put in the place of lab7's:

command='python3 docs/examples/my_server.py --listen {address} --port {port} --root {root}'
lab7 run http-versions --replace "origin=$command"
"""

from __future__ import annotations

import argparse
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Handler(SimpleHTTPRequestHandler):
    """Answers by HTTP/1.1, so that a connection can stay open."""

    protocol_version = "HTTP/1.1"


def main() -> None:
    """Serve a folder until it is stopped."""
    options = argparse.ArgumentParser()
    options.add_argument("--listen", default="127.0.0.1")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--root", required=True)
    asked = options.parse_args()
    handler = functools.partial(Handler, directory=asked.root)
    ThreadingHTTPServer((asked.listen, asked.port), handler).serve_forever()


if __name__ == "__main__":
    main()
