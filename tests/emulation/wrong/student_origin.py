"""An HTTP/1.1 origin as a student writes it, with one bug in its octets.

    python student_origin.py BUG PORT ROOT

It stands alone, and uses sockets only.
"""

from __future__ import annotations

import socket
import sys
import threading
from email.utils import formatdate
from pathlib import Path

BUGS = {
    "none": "no bug",
    "lf": "lines of the head end in LF alone",
    "long": "Content-Length is 7 more than the octets of the content",
    "short": "Content-Length is 7 less than the octets of the content",
    "decimal": "chunk sizes are in decimal",
    "crash": "an exception at the first request",
}
TYPES = {".html": "text/html", ".png": "image/png"}


def answer(bug: str, root: Path, target: str) -> bytes:
    """Return the octets of the response to a GET."""
    if bug == "crash":
        raise KeyError(target)
    file = root / (target.lstrip("/") + ("index.html" if target.endswith("/") else ""))
    content = file.read_bytes() if file.is_file() else b"not found\n"
    lines = [
        f"HTTP/1.1 {'200 OK' if file.is_file() else '404 Not Found'}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {TYPES.get(file.suffix, 'text/html')}",
    ]
    if bug == "decimal":
        lines.append("Transfer-Encoding: chunked")
        content = b"%d\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    else:
        lines.append(f"Content-Length: {len(content) + {'long': 7, 'short': -7}.get(bug, 0)}")
    end = "\n" if bug == "lf" else "\r\n"
    return (end.join(lines) + end + end).encode() + content


def serve(connection: socket.socket, bug: str, root: Path) -> None:
    """Answer the requests of one connection."""
    data = b""
    with connection:
        while piece := connection.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                connection.sendall(answer(bug, root, head.split(b" ")[1].decode()))


def main() -> None:
    """Serve as the command line says."""
    bug, port, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    assert bug in BUGS
    listener = socket.create_server(("", port), backlog=100)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, bug, root), daemon=True).start()


if __name__ == "__main__":
    main()
