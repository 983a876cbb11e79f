"""One-line summaries of Ethernet frames: addresses, protocol, and the first line of the TCP or UDP payload.

DNS messages are decoded. For line-based protocols (HTTP/1, SMTP, FTP, POP3, IMAP), the first line of the segment is
shown. Each frame is decoded alone, without reassembly. Left out: HTTP/2 frames, IPv6 extension headers.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.codes import rcode_to_text, type_to_text
from lab7.services.dns.codec.errors import DNSError
from lab7.services.dns.codec.message import Message, Record

TEXT_MAX = 120
LINE_BYTES_MAX = 400
IPV4, ARP, IPV6, VLAN = 0x0800, 0x0806, 0x86DD, 0x8100
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"))
# Ports of protocols whose segments begin with a line of text.
LINES = {21: "ftp", 25: "smtp", 587: "smtp", 110: "pop3", 143: "imap"}
DNS_PORT = 53
_HTTP = re.compile(rb"(?:[A-Z]{3,10} \S+ HTTP/1\.\d|HTTP/1\.\d \d{3})")
_HTTP2 = b"PRI * HTTP/2.0"


@dataclass(frozen=True)
class Summary:
    """Summary of a frame: source and target (address, with port if any), protocol, text."""

    source: str
    target: str
    protocol: str
    text: str


def summarise(frame: bytes) -> Summary:
    """Return the summary of an Ethernet frame; a malformed or truncated frame is decoded as far as possible."""
    try:
        return _summary(frame)
    except (IndexError, struct.error, ValueError):
        return Summary(_mac(frame[6:12]), _mac(frame[:6]), "ethernet", "malformed")


def _summary(frame: bytes) -> Summary:
    kind, start = struct.unpack_from("!H", frame, 12)[0], 14
    if kind == VLAN:
        kind, start = struct.unpack_from("!H", frame, 16)[0], 18
    packet = frame[start:]
    if kind == IPV4:
        length, header = struct.unpack_from("!H", packet, 2)[0], 4 * (packet[0] & 0x0F)
        source, target = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
        if struct.unpack_from("!H", packet, 6)[0] & 0x1FFF:
            return Summary(source, target, "ip", "fragment")
        return _transport(source, target, packet[9], packet[header:length])
    if kind == IPV6:
        length = struct.unpack_from("!H", packet, 4)[0]
        source, target = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
        return _transport(source, target, packet[6], packet[40 : 40 + length])
    if kind == ARP:
        return _arp(packet)
    return Summary(_mac(frame[6:12]), _mac(frame[:6]), "ethernet", f"type 0x{kind:04x}")


def _mac(octets: bytes) -> str:
    return octets.hex(":")


def _arp(packet: bytes) -> Summary:
    sender, target = str(IPv4Address(packet[14:18])), str(IPv4Address(packet[24:28]))
    if packet[7] == 1:
        return Summary(sender, target, "arp", f"who has {target}? tell {sender}")
    return Summary(sender, target, "arp", f"{sender} is at {_mac(packet[8:14])}")


def _transport(source: str, target: str, protocol: int, segment: bytes) -> Summary:
    if protocol == TCP:
        return _tcp(source, target, segment)
    if protocol == UDP:
        near, far = struct.unpack_from("!HH", segment)
        ends = _end(source, near), _end(target, far)
        if DNS_PORT in (near, far) and (text := _dns(segment[8:])):
            return Summary(*ends, "dns", text)
        return Summary(*ends, "udp", f"{len(segment) - 8} octets")
    if protocol in (ICMP, ICMPV6):
        return Summary(source, target, "icmp", _icmp(protocol, segment))
    return Summary(source, target, "ip", f"protocol {protocol}")


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _icmp(protocol: int, segment: bytes) -> str:
    kinds = {8: "echo request", 0: "echo reply", 3: "destination unreachable", 11: "time exceeded"}
    if protocol == ICMPV6:
        kinds = {128: "echo request", 129: "echo reply", 135: "neighbour solicitation", 136: "neighbour advertisement"}
    kind = segment[0]
    number = f", seq {struct.unpack_from('!H', segment, 6)[0]}" if "echo" in kinds.get(kind, "") else ""
    return f"{kinds.get(kind, f'type {kind}')}{number}"


def _tcp(source: str, target: str, segment: bytes) -> Summary:
    near, far, _, _, offset, flags = struct.unpack_from("!HHIIBB", segment)
    ends = _end(source, near), _end(target, far)
    payload = segment[4 * (offset >> 4) :]
    if payload:
        protocol, text = _payload(near, far, payload)
        return Summary(*ends, protocol, text)
    names = ", ".join(name for bit, name in FLAGS if flags & bit)
    return Summary(*ends, "tcp", names)


def _payload(near: int, far: int, payload: bytes) -> tuple[str, str]:
    size = f"{len(payload)} octets"
    if DNS_PORT in (near, far) and len(payload) > 2 and (text := _dns(payload[2:])):
        return "dns", text
    line = payload[:LINE_BYTES_MAX].split(b"\n")[0].rstrip(b"\r")
    if _HTTP.match(payload):
        return "http", _printable(line)
    if payload.startswith(_HTTP2):
        return "http", "HTTP/2 connection preface"
    protocol = LINES.get(near) or LINES.get(far)
    if protocol and line.isascii() and line.decode("ascii").isprintable() and line:
        return protocol, _printable(line)
    return protocol or "tcp", f"data, {size}"


def _printable(line: bytes) -> str:
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line.decode("utf-8", "replace"))
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 3]}..."


def _dns(octets: bytes) -> str:
    """Return a DNS message as text: the question, and for a response its outcome; empty if it cannot be decoded."""
    try:
        message = Message.from_wire(octets, ignore_trailing=True)
        return _dns_text(message)
    except DNSError:
        return ""


def _dns_text(message: Message) -> str:
    question = message.question
    asked = "" if question is None else f"{question.name} {type_to_text(question.rtype)}"
    if not message.qr:
        return f"{asked}?"
    if message.rcode:
        return f"{asked}: {rcode_to_text(message.rcode)}"
    if message.answers:
        data = ", ".join(_record(record) for record in message.answers)
        return f"{asked}: {data}"[:TEXT_MAX]
    servers = [record for record in message.authority if type_to_text(record.rtype) == "NS"]
    return f"{asked}: referral to {servers[0].name}" if servers else f"{asked}: no data"


def _record(record: Record) -> str:
    return f"{type_to_text(record.rtype)} {record.rdata.to_text()}"
