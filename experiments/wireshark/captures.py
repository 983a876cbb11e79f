"""Copies of a run's captures for Wireshark, with comments on the frames that verdicts cite, and with host names.

A verdict is the result for a claim, a statement about a protocol that packets confirm or contradict.

Of each capture, the merged copy has all interfaces, and therefore the frame numbers of the evidence. It contains a
packet once for each interface that the packet passed; Wireshark reports the repetitions as retransmissions. A copy of
one interface shows TCP as the interface's host saw it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.results.atomic import atomic
from lab7.experiments.harness.results.result import Result
from lab7.experiments.ladder.journeys import Journeys
from lab7.experiments.ladder.named_capture import read_named_capture

FOLDER = "wireshark"
# Maximum length of a comment in characters: Wireshark shows it in one line of its list.
COMMENT_MAX = 240


def comments_of(result: Result, capture: str) -> dict[int, list[str]]:
    """Return frame number -> comments on a capture's frame, one for each claim whose evidence cites the frame.

    A comment is the claim's id and verdict (`H5: shown. `), followed by the evidence.
    """
    found: dict[int, list[str]] = defaultdict(list)
    for claim in result.claims:
        text = f"{claim.id}: {claim.verdict}. {claim.evidence}"
        comment = text if len(text) <= COMMENT_MAX else text[: COMMENT_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
        for number in claim.cited(result.files.capture).get(capture, ()):
            found[number].append(comment)
    return dict(found)


def write_captures(folder: Path, result: Result, name: str, secrets: bytes = b"") -> list[Path]:
    """Write copies of a capture with comments: one of all interfaces, then one per interface; return their paths.

    `name`: the file name of the capture; `secrets`: TLS secrets in the format of SSLKEYLOGFILE. Raises
    CaptureReadError, OSError.
    """
    captured = read_named_capture(folder / name, result)
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    hosts, comments = {**captured.host_names, **Journeys(captured).hosts}, comments_of(result, name)
    stem = Path(name).stem
    written = [_write(target / f"{stem}.pcapng", captured, list(captured.counts), hosts, comments, secrets)]
    for interface in captured.counts:
        path = target / f"{stem}-{interface.replace(':', '-').replace('/', '-')}.pcapng"
        written.append(_write(path, captured, [interface], hosts, comments, secrets))
    return written


def _write(
    path: Path,
    captured: CaptureFile,
    interfaces: Sequence[str],
    hosts: Mapping[str, str],
    comments: Mapping[int, Sequence[str]],
    secrets: bytes,
) -> Path:
    places = {interface: place for place, interface in enumerate(interfaces)}
    with atomic(path) as partial, partial.open("wb", 1 << 20) as stream:
        writer = PcapngWriter(stream, interfaces)
        writer.names(hosts)
        if secrets:
            writer.tls_secrets(secrets)
        for frame in captured.frames:
            if frame.interface in places:
                place, notes = places[frame.interface], comments.get(frame.number, ())
                writer.packet(place, frame.time_ns, frame.data, frame.wire_length, notes)
        for interface, place in places.items():
            count = captured.counts[interface]
            writer.statistics(place, received=count.packets + count.dropped, dropped=count.dropped)
    return path
