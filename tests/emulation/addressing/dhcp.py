"""A DHCP server with one address, and a client: DISCOVER, OFFER, REQUEST, ACK (RFC 2131), one process each.

dhcp.py serve INTERFACE OWN LEASED; dhcp.py ask INTERFACE prints the address. Every wait is bounded.
"""

from __future__ import annotations

import socket
import sys

from scapy.layers.dhcp import BOOTP, DHCP

SERVER_PORT, CLIENT_PORT = 67, 68
TIMEOUT_S = 20.0
ANSWERS = {1: "offer", 3: "ack"}
TRANSACTION = 0x1AB7


def opened(interface: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    sock.settimeout(TIMEOUT_S)
    sock.bind(("", port))
    return sock


def serve(interface: str, own: str, leased: str) -> None:
    sock = opened(interface, SERVER_PORT)
    print("listening", flush=True)
    while True:
        asked = BOOTP(sock.recv(2048))
        kind = dict(option for option in asked[DHCP].options if len(option) == 2)["message-type"]
        options = [("message-type", ANSWERS[kind]), ("server_id", own), ("subnet_mask", "255.255.255.0"), "end"]
        answer = BOOTP(op=2, xid=asked.xid, yiaddr=leased, siaddr=own, chaddr=asked.chaddr) / DHCP(options=options)
        sock.sendto(bytes(answer), ("255.255.255.255", CLIENT_PORT))
        if ANSWERS[kind] == "ack":
            return


def ask(interface: str) -> None:
    sock = opened(interface, CLIENT_PORT)
    offered = ""
    for kind in ("discover", "request"):
        options = [("message-type", kind), *([("requested_addr", offered)] if offered else []), "end"]
        question = BOOTP(xid=TRANSACTION, flags=0x8000, chaddr=b"\2" * 6) / DHCP(options=options)
        sock.sendto(bytes(question), ("255.255.255.255", SERVER_PORT))
        offered = BOOTP(sock.recv(2048)).yiaddr
    print(offered)


if __name__ == "__main__":
    kind, *words = sys.argv[1:]
    serve(*words) if kind == "serve" else ask(*words)
