"""A student's HTTP server of files, on sockets alone; the tests put one bug into it at a time."""

import argparse
import socket
import threading
import time
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

TYPES = {".html": "text/html", ".txt": "text/plain; charset=utf-8", ".png": "image/png"}
REASONS = {200: "OK", 304: "Not Modified", 400: "Bad Request", 404: "Not Found", 501: "Not Implemented"}
EOL = "\r\n"


def find(root: Path, target: str) -> Path | None:
    path = (root / unquote(target).lstrip("/")).resolve()
    if path.is_dir():
        path = path / "index.html"
    inside = path.is_relative_to(root.resolve())
    return path if inside and path.is_file() else None


def date(time_s: float) -> str:
    return formatdate(time_s, usegmt=True)


def head(status: int, fields: dict[str, object]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return EOL.join(lines).encode()


def unchanged(fields: dict[str, str], modified_s: int) -> bool:
    since = fields.get("if-modified-since")
    if since is None:
        return False
    return parsedate_to_datetime(since).timestamp() >= modified_s


def respond(connection: socket.socket, root: Path, lines: list[str]) -> bool:
    method, target, version = lines[0].split(" ")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    keep = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    out: dict[str, object] = {"Date": date(time.time())}
    if not keep:
        out["Connection"] = "close"
    content = b""
    path = find(root, target)
    if version == "HTTP/1.1" and "host" not in fields:
        status = 400
    elif method not in ("GET", "HEAD"):
        status = 501
    elif path is None:
        status = 404
        content = b"not found\n"
    else:
        modified_s = int(path.stat().st_mtime)
        out["Last-Modified"] = date(modified_s)
        status = 304 if unchanged(fields, modified_s) else 200
        if status == 200:
            out["Content-Type"] = TYPES.get(path.suffix, "application/octet-stream")
            content = path.read_bytes()
    if status != 304:
        out["Content-Length"] = len(content)
    connection.sendall(head(status, out))
    if method != "HEAD":
        connection.sendall(content)
    return keep


def serve(connection: socket.socket, root: Path) -> None:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            block = connection.recv(4096)
            if not block:
                connection.close()
                return
            data += block
        text, _, data = data.partition(b"\r\n\r\n")
        if not respond(connection, root, text.decode("latin-1").split("\r\n")):
            connection.close()
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    with socket.create_server(("", options.port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, options.root), daemon=True).start()


main()
