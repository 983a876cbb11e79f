"""Verdicts on claims F8 and F9 of the course: what an eavesdropper recovers from captured FTP and SFTP transfers.

The eavesdropper is a third host and has only the frames at its own interface. It reassembles all TCP streams, searches
for USER and PASS commands on any port, and treats every other stream as a file. The decision then compares its findings
with the true user name, password, file name and file content. They are searched for in clear text, base64 and
hexadecimal; the file is searched for as a whole and in blocks.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lab7.experiments.harness.judge.frames import CaptureFile, Connection, ConnectionTraffic, connections
from lab7.experiments.harness.judge.reassembly import Stream
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    in_frames,
)

SAID = re.compile(rb"^(USER|PASS) ([^\r\n]*)\r\n", re.IGNORECASE | re.MULTILINE)
# SSH_BANNER matches the identification string that both sides of SSH send first, in clear text (RFC 4253 section 4.2).
SSH_BANNER = re.compile(rb"\ASSH-2\.0-([!-~]+)")
# Captured streams are searched for file blocks of BLOCK_OCTETS; a block matches by chance with probability 2^-256.
BLOCK_OCTETS = 32


@dataclass(frozen=True)
class Secret:
    """Confidential data of a transfer that an eavesdropper may recover: user name, password, file name and content."""

    user: str
    password: str
    file_name: str
    content: bytes

    @property
    def digest(self) -> str:
        """Return the SHA-256 digest of the file's content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class CapturedArgument:
    """Argument of a USER or PASS command that was captured in clear text, with its frame number."""

    what: str
    frame: int


@dataclass(frozen=True)
class Overheard(ConnectionTraffic):
    """TCP connections between other hosts, captured at the interface of an eavesdropper with the address `address`."""

    address: str = ""

    @property
    def absence(self) -> str | None:
        """Return a text for the verdict if no connection between other hosts was captured, otherwise None."""
        return None if self.connections else f"{self.address} captured no connection of other hosts"

    def between(self, start_ns: int, end_ns: int) -> Overheard:
        """Return the captured connections that begin within [start_ns, end_ns)."""
        inside = tuple(connection for connection in self.connections if start_ns <= connection.syn.time_ns < end_ns)
        return replace(self, connections=inside)

    @property
    def streams(self) -> Iterator[tuple[Connection, Stream]]:
        """Yield (connection, reassembled stream) for each direction of a connection that carried data."""
        for connection in self.connections:
            for way in (connection.from_client, connection.from_server):
                if way.stream.data:
                    yield connection, way.stream

    @cached_property
    def credentials(self) -> dict[str, list[CapturedArgument]]:
        """Return the captured arguments of USER and PASS commands: command -> arguments with frame numbers."""
        found: dict[str, list[CapturedArgument]] = {"USER": [], "PASS": []}
        for _, stream in self.streams:
            for each in SAID.finditer(stream.data):
                frame = stream.span(each.start(2) - 1, each.end())[0].frame
                found[each[1].decode().upper()].append(CapturedArgument(each[2].decode(errors="replace"), frame))
        return found

    def file(self, digest: str) -> Stream | None:
        """Return the completely captured stream with the SHA-256 digest `digest`; None if there is no such stream."""
        for _, stream in self.streams:
            if stream.whole and hashlib.sha256(stream.data).hexdigest() == digest:
                return stream
        return None

    def blocks(self, content: bytes) -> list[int]:
        """Return the offsets of the blocks of a file (BLOCK_OCTETS octets each) that occur in a captured stream."""
        starts = range(0, len(content) - BLOCK_OCTETS + 1, BLOCK_OCTETS)
        every = [stream.data for _, stream in self.streams]
        return [start for start in starts if any(content[start : start + BLOCK_OCTETS] in data for data in every)]

    def words(self, word: str) -> list[int]:
        """Return the numbers of the frames in which a word occurs in clear text, base64 or hexadecimal."""
        found: list[int] = []
        for _, stream in self.streams:
            data = stream.data
            for form in _forms(word.encode()):
                at = data.find(form)
                if at >= 0:
                    found.append(stream.span(at, at + len(form))[0].frame)
        return sorted(set(found))


def eavesdrop(captured: CaptureFile, interface: str, address: str) -> Overheard:
    """Return the connections between other hosts that were captured at an interface.

    Raises KeyError if the interface was not captured.
    """
    every = connections(captured.at(interface))
    theirs = tuple(
        connection for connection in every if address not in (connection.client.address, connection.server.address)
    )
    return Overheard(theirs, captured.dropped(interface), address)


def _forms(word: bytes) -> list[bytes]:
    """Return the encodings of a word to search for: clear text, hexadecimal, and base64 at three alignments."""
    forms = [word, word.hex().encode(), word.hex().upper().encode()]
    for skipped in range(3):
        whole = word[skipped : skipped + (len(word) - skipped) // 3 * 3]
        # Skip base64 of fewer than six octets, since shorter text occurs in any stream by chance.
        forms += [base64.b64encode(whole)] if len(whole) >= 6 else []
    return forms


@decides("F8")
def decide_eavesdropping(claim: str, ftp: Overheard, secret: Secret) -> Verdict:
    """Decide claim F8: a third host recovers user name, password and file of an FTP transfer from captured frames."""

    def check() -> Finding:
        users, passwords = ftp.credentials["USER"], ftp.credentials["PASS"]
        if not passwords:
            raise Contradiction(
                f"None of the {len(ftp.connections)} connections captured at {ftp.address} contains a password."
            )
        if [user.what for user in users[:1]] != [secret.user] or passwords[0].what != secret.password:
            said = f"{users[0].what if users else 'no user name'} with {passwords[0].what!r}"
            raise Contradiction(f"The captured login {said} is not that of the user.", passwords[0].frame)
        file = ftp.file(secret.digest)
        if file is None:
            count = len(ftp.blocks(secret.content))
            raise Contradiction(
                f"The capture contains the password, but only {count} blocks of the file.", passwords[0].frame
            )
        return (
            f"The host {ftp.address}, which takes no part in the session, captures the user name "
            f"{secret.user!r} (frame {users[0].frame}), the password {passwords[0].what!r} (frame "
            f"{passwords[0].frame}) and the file of {len(file.data)} octets, SHA-256 {secret.digest[:16]}, "
            f"from frame {file.pieces[0].frame} on."
        ), [users[0].frame, passwords[0].frame, file.pieces[0].frame]

    return decide(claim, [ftp], check)


@decides("F9")
def decide_encryption(claim: str, sftp: Overheard, ftp: Overheard, secret: Secret, arrived: bytes) -> Verdict:
    """Decide claim F9: the search that recovers an FTP transfer finds nothing in an SFTP transfer of the same file.

    `arrived` is the client's copy of the file. Undecided if the search does not recover the FTP transfer, or if the
    SFTP transfer is incomplete.
    """

    def check() -> Finding:
        if decide_eavesdropping(ftp, secret).verdict != "shown":
            raise Inconclusive("The same search finds nothing in the FTP transfer, so that it proves nothing here.")
        carrying = [connection for connection in sftp.connections if _banners(connection)]
        moved = sum(len(connection.from_server.stream.data) for connection in carrying)
        if arrived != secret.content or moved < len(secret.content):
            raise Inconclusive(
                f"The SFTP transfer is incomplete: {moved} octets were received, {len(arrived)} were written."
            )
        leaks = _recovered(sftp, secret)
        if leaks:
            what = "; ".join(text for text, _ in leaks)
            raise Contradiction(f"The capture of the SFTP transfer contains {what}.", *leaks[0][1])
        return (
            "The same search finds no user name, no password, no file name and none of the "
            f"{len(secret.content) // BLOCK_OCTETS} blocks of the file in the SFTP transfer, which was "
            f"complete. {_still_leaks(carrying, secret)}"
        ), [carrying[0].syn.frame]

    return decide(claim, [sftp], check)


def _recovered(heard: Overheard, secret: Secret) -> list[tuple[str, list[int]]]:
    """Search the captured streams for each part of a secret; return (description, frame numbers) of the parts found."""
    found = []
    for kind in ("USER", "PASS"):
        for one in heard.credentials[kind]:
            found.append((f"{kind} {one.what!r} in frame {one.frame}", [one.frame]))
    for what, word in (("the user's name", secret.user), ("the password", secret.password)):
        # Skip names shorter than five octets, since short names occur in random octets by chance.
        frames = heard.words(word) if len(word) >= 5 else []
        found += [(f"{what} in {in_frames(frames)}", frames)] if frames else []
    frames = heard.words(secret.file_name)
    found += [(f"the file's name in {in_frames(frames)}", frames)] if frames else []
    if heard.file(secret.digest) is not None:
        found.append(("the whole file", []))
    elif blocks := heard.blocks(secret.content):
        found.append((f"{len(blocks)} blocks of the file", []))
    return found


def _banners(connection: Connection) -> list[str]:
    """Return the SSH identification strings of both ends of a connection; empty if the connection is not SSH."""
    found = [SSH_BANNER.match(way.stream.data) for way in (connection.from_client, connection.from_server)]
    return [each[1].decode() for each in found if each] if all(found) else []


def _still_leaks(carrying: Sequence[Connection], secret: Secret) -> str:
    """Return a text on the metadata of an SFTP transfer that encryption does not hide: hosts, programs, size, time."""
    one = max(carrying, key=lambda each: len(each.from_server.stream.data))
    down = one.from_server.stream
    over = len(down.data) / len(secret.content) - 1
    lasted_s = (down.pieces[-1].time_ns - one.syn.time_ns) / 1e9
    return (
        f"An observer still learns the addresses ({one.client.address} and {one.server}), the programs "
        f"({' and '.join(_banners(one))}), the size ({len(down.data)} octets downstream, {over:.0%} more than "
        f"the file) and the timing ({lasted_s:.2f} s)."
    )
