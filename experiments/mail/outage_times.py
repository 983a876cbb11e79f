"""Measured times of a mail outage: from the last failed attempt to resumed delivery, and between retries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.results.result import Timing
from lab7.experiments.mail.claims.outage import Episode, Resumption, during
from lab7.experiments.mail.lab import RECEIVER_ADDRESS, SENDER_ADDRESS
from lab7.experiments.mail.times import TimedSample
from lab7.experiments.mail.wire.attempts import NS, attempts_by_time

SERVERS = {SENDER_ADDRESS, RECEIVER_ADDRESS}
TERMS = ("refusal", "wait", "tcp_handshake", "dialogue", "content")


def between_servers(captured: CaptureFile, sample: TimedSample) -> CaptureFile:
    """Return the TCP frames that the two mail servers exchanged between start and end of a measured duration."""
    frames = [frame for frame in captured.frames if sample.first_ns <= frame.time_ns <= sample.last_ns]
    return CaptureFile(
        tuple(frame for frame in frames if layers.TCP in frame.packet and _ends(frame) == SERVERS), captured.counts
    )


def _ends(frame: Frame) -> set[str]:
    """Return the source and destination IP address of a frame."""
    return {frame.packet[layers.IP].src, frame.packet[layers.IP].dst}


def recovery_timing(found: Resumption) -> Timing:
    """Return the time from the last failed attempt's SYN to the first message's 250, divided into TERMS."""
    failed_ns = found.failed.failed_ns or found.failed.began_ns
    marks = [found.failed.began_ns, failed_ns, found.first.began_ns, found.answered_ns, found.asked_ns, found.taken_ns]
    terms = {name: (after - before) / NS for name, (before, after) in zip(TERMS, pairwise(marks), strict=True)}
    return Timing((marks[-1] - marks[0]) / NS, terms)


def retry_intervals(episode: Episode) -> list[Timing]:
    """Return the time between each two consecutive failed attempts, divided into `refusal` and `wait`."""
    found = []
    for one, other in pairwise(attempts_by_time(during(episode))):
        failed_ns = one.failed_ns or one.began_ns
        terms = {"refusal": (failed_ns - one.began_ns) / NS, "wait": (other.began_ns - failed_ns) / NS}
        found.append(Timing((other.began_ns - one.began_ns) / NS, terms))
    return found


def attempt_number(failed_s: Sequence[float], at_s: float, every_s: float) -> float:
    """Return the number, from 1, of the delivery attempt to which a connection at the time `at_s` belongs.

    `failed_s`: times in s of failed connections. Connections within half a retry interval `every_s` are one attempt.
    """
    number, began_s = 1, failed_s[0]
    for one in failed_s:
        if one > at_s:
            break
        if one - began_s > every_s / 2:
            number, began_s = number + 1, one
    return float(number)
