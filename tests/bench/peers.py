"""The servers that the origin is measured beside, each run as a process that prints READY.

    python -m tests.bench.peers NAME PORT ROOT

http.server   Python's ThreadingHTTPServer with SimpleHTTPRequestHandler, HTTP/1.1 so that connections are kept
http.server-nodelay  the same with TCP_NODELAY: as it comes, head and content are two writes, and the second may wait
              for a delayed acknowledgement of the first
aiohttp-file  aiohttp, the file through web.FileResponse (add_static)
aiohttp-text  aiohttp, the same octets from memory as web.Response, which is all that a handler can do less
A name that ends in +uvloop runs that server on uvloop.
"""

import asyncio
import os
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiohttp import web


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Write no log, as the others do."""


class _QuietNoDelay(_Quiet):
    disable_nagle_algorithm = True


class _Threads(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing of a load generator that has gone."""


def _http_server(port: int, root: Path, handler: type[SimpleHTTPRequestHandler]) -> None:
    with _Threads(("127.0.0.1", port), partial(handler, directory=os.fspath(root))) as server:
        print("READY", flush=True)
        server.serve_forever()


def _application(root: Path, from_memory: bool) -> web.Application:
    application = web.Application()
    if not from_memory:
        application.router.add_static("/", root)
        return application
    content = (root / "small.bin").read_bytes()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/octet-stream")

    application.router.add_get("/small.bin", answer)
    return application


async def _aiohttp(port: int, root: Path, from_memory: bool) -> None:
    runner = web.AppRunner(_application(root, from_memory), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("READY", flush=True)
    await asyncio.Event().wait()


def main(argv: list[str]) -> None:
    """Run the named server until it is ended."""
    name, port, root = argv[0], int(argv[1]), Path(argv[2])
    server, _, loop = name.partition("+")
    if server.startswith("http.server"):
        _http_server(port, root, _QuietNoDelay if server.endswith("nodelay") else _Quiet)
        return
    serving = _aiohttp(port, root, server == "aiohttp-text")
    if loop:
        import uvloop

        uvloop.run(serving)
    else:
        asyncio.run(serving)


if __name__ == "__main__":
    main(sys.argv[1:])
