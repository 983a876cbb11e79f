"""What the experiments on mail share: the topology mail, what stands in for its servers, captures on the three legs.

alice ── sender's leg ── mail-a ── between ── mail-b ── receiver's leg ── bob
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.capture import Capture, CaptureInterface
from experiments.harness.experiment import Run
from experiments.harness.fidelity import EmulatedPath
from experiments.harness.implementations.registry import (
    ACCESS_ROLE,
    IMAP_PORT,
    MTA_ROLE,
    SMTP_PORT,
)
from experiments.harness.mail_servers import mail_host
from topologies.emulation.testbed import Testbed
from topologies.mail import (
    ADDRESSES,
    ALICE,
    BOB,
    MAIL_A,
    MAIL_B,
    PASSWORDS,
    POP3_PORT,
    SUBMISSION_PORT,
    MailTopo,
)

__all__ = ["ALICE", "BOB", "IMAP_PORT", "PASSWORDS", "POP3_PORT", "SMTP_PORT", "SUBMISSION_PORT"]

OUR_MTA, OUR_ACCESS = "services.mail.mta", "services.mail.pop3 and services.mail.imap"
# Where a capture sees each leg, from the side that opens the connection; and the receiver's server.
AT_ALICE, AT_SENDER, AT_RECEIVER, AT_BOB = (f"{host}:{host}-eth0" for host in ("alice", "mail-a", "mail-b", "bob"))
LEGS = (AT_ALICE, AT_SENDER, AT_RECEIVER, AT_BOB)
CAPTURE_NAME = "capture.pcapng"
SENDER_NAME, RECEIVER_NAME = MAIL_A.rstrip("."), MAIL_B.rstrip(".")
SENDER_ADDRESS, RECEIVER_ADDRESS = ADDRESSES[MAIL_A], ADDRESSES[MAIL_B]


@dataclass(frozen=True)
class Legs:
    """The round-trip times of the three legs in seconds, and the rate between the servers in Mbit/s."""

    sender_s: float
    between_s: float
    receiver_s: float
    bw_mbit: float

    def topology(self, **more: Any) -> MailTopo:
        """The drawing with these legs; `more`: further parameters of it."""
        delays = {"sender": self.sender_s, "between": self.between_s, "receiver": self.receiver_s}
        given = {name: f"{rtt_s / 2 * 1e6:.0f}us" for name, rtt_s in delays.items()}
        return MailTopo(**given, bw=self.bw_mbit, **more)

    def paths(self) -> list[EmulatedPath]:
        """The three paths that are measured for the fidelity certificate."""
        return [
            EmulatedPath("alice", "mail-a", SENDER_ADDRESS, self.sender_s, None),
            EmulatedPath("mail-a", "mail-b", RECEIVER_ADDRESS, self.between_s, self.bw_mbit * 1e6),
            EmulatedPath("bob", "mail-b", RECEIVER_ADDRESS, self.receiver_s, None),
        ]


def mail_testbed(context: Run, topo: MailTopo) -> Testbed:
    """The drawing as a network; what is given for the roles mta and mailbox takes its place on mail-b."""
    is_replaced = any(role in context.replacements for role in (MTA_ROLE, ACCESS_ROLE))
    starters = {"mail-b": mail_host(topo, "mail-b", context.replacements).start} if is_replaced else {}
    return Testbed(topo, seed=context.seed, links=context.links, sandboxed=context.sandboxed, starters=starters)


def capture_legs(bed: Testbed, path: Path, labels: Iterable[str] = LEGS) -> Capture:
    """A capture on the three legs: at both user agents, and at both servers."""
    names = [label.partition(":") for label in labels]
    return Capture(
        path,
        [CaptureInterface(f"{host}:{ifname}", bed.host(host).namespace_pid, ifname) for host, _, ifname in names],
    )


def implementation_names(context: Run, *roles: str) -> dict[str, str]:
    """What a report calls the servers, by role."""
    ours = {MTA_ROLE: OUR_MTA, ACCESS_ROLE: OUR_ACCESS}
    given = {role: context.replacements.get(role) for role in roles}
    return {role: one.describe() if one is not None else ours[role] for role, one in given.items()}
