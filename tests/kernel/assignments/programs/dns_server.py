"""A student's authoritative DNS server, on sockets alone; the tests put one bug into it at a time."""

import argparse
import ipaddress
import shlex
import socket
import struct
import threading
from pathlib import Path

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
A, NS, CNAME, SOA, AAAA, OPT = 1, 2, 5, 6, 28, 41
ZONE = "example.com."
# RCODE, AA, and the records of the answer, authority and additional sections.
Answer = tuple[int, bool, list[bytes], list[bytes], list[bytes]]


def encode(name: str) -> bytes:
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def rdata_of(kind: str, words: list[str]) -> bytes:
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(words[0]).packed
    if kind in ("NS", "CNAME"):
        return encode(words[0])
    if kind == "MX":
        return struct.pack(">H", int(words[0])) + encode(words[1])
    if kind == "TXT":
        return bytes([len(words[0])]) + words[0].encode()
    return encode(words[0]) + encode(words[1]) + struct.pack(">5I", *map(int, words[2:]))


def load(text: str) -> list[tuple[str, int, int, bytes, str]]:
    found = []
    for line in text.splitlines():
        owner, ttl, _, kind, *words = shlex.split(line)
        found.append((owner.lower(), TYPES[kind], int(ttl), rdata_of(kind, words), words[0].lower()))
    return found


class Server:
    def __init__(self, text: str) -> None:
        self.records = load(text)
        self.names = {owner for owner, *_ in self.records}

    def find(self, name: str, rtype: int) -> list[bytes]:
        return [
            encode(owner) + struct.pack(">HHIH", kind, 1, ttl, len(rdata)) + rdata
            for owner, kind, ttl, rdata, _ in self.records
            if owner == name and kind == rtype
        ]

    def target(self, name: str, rtype: int) -> str:
        return next((word for owner, kind, _, _, word in self.records if (owner, kind) == (name, rtype)), "")

    def cut_above(self, name: str) -> str:
        parts = name.split(".")
        cuts = [".".join(parts[at:]) for at in range(len(parts) - 1)]
        return next((one for one in cuts if one != ZONE and self.find(one, NS)), "")

    def soa(self) -> list[bytes]:
        (record,) = self.find(ZONE, SOA)
        head = len(encode(ZONE))
        return [record[: head + 4] + struct.pack(">I", 300) + record[head + 8 :]]

    def answer(self, name: str, rtype: int) -> Answer:
        if not (name == ZONE or name.endswith("." + ZONE)):
            return 5, False, [], [], []
        cut = self.cut_above(name)
        if cut:
            server = self.target(cut, NS)
            glue = [*self.find(server, A), *self.find(server, AAAA)]
            return 0, False, [], self.find(cut, NS), glue
        if name not in self.names:
            return 3, True, [], self.soa(), []
        alias = self.find(name, CNAME)
        found = self.find(name, rtype)
        if alias and rtype != CNAME:
            found = [*alias, *self.find(self.target(name, CNAME), rtype)]
        return 0, True, found, [] if found else self.soa(), []

    def respond(self, query: bytes, tcp: bool) -> bytes:
        number, flags, _, _, _, extra = struct.unpack(">6H", query[:12])
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        rtype = struct.unpack(">H", query[at + 1 : at + 3])[0]
        end = at + 5
        question = query[12:end]
        limit = 512
        opt = b""
        if extra and struct.unpack(">H", query[end + 1 : end + 3])[0] == OPT:
            limit = max(512, struct.unpack(">H", query[end + 3 : end + 5])[0])
            opt = b"\0" + struct.pack(">HHIH", OPT, 1232, 0, 0)
        if flags >> 11 & 15:
            found: Answer = (4, False, [], [], [])
        else:
            found = self.answer(".".join([*labels, ""]).lower(), rtype)
        code, aa, answer, authority, additional = found
        body = b"".join([*answer, *authority, *additional]) + opt
        counts = [len(answer), len(authority), len(additional) + bool(opt)]
        size = 12 + len(question) + len(body)
        truncated = not tcp and size > limit
        if truncated:
            body, counts = opt, [0, 0, int(bool(opt))]
        bits = 0x8000 | flags & 0x7900 | 0x0400 * aa | 0x0200 * truncated | code
        return struct.pack(">6H", number, bits, 1, *counts) + question + body


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = connection.recv(size - len(data))
        if not block:
            raise EOFError
        data += block
    return data


def serve_tcp(server: Server, connection: socket.socket) -> None:
    with connection:
        try:
            while True:
                size = int.from_bytes(exactly(connection, 2), "big")
                response = server.respond(exactly(connection, size), True)
                connection.sendall(len(response).to_bytes(2, "big") + response)
        except EOFError:
            pass


def listen_tcp(server: Server, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_tcp, args=(server, connection), daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--zone", type=Path)
    options = parser.parse_args()
    server = Server(options.zone.read_text())
    listener = socket.create_server(("", options.port))
    threading.Thread(target=listen_tcp, args=(server, listener), daemon=True).start()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", options.port))
    while True:
        query, client = datagrams.recvfrom(4096)
        try:
            response = server.respond(query, False)
        except (struct.error, IndexError, ValueError):
            continue
        datagrams.sendto(response, client)


main()
