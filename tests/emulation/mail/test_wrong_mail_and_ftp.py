"""Servers of FTP and mail with one fault each: the claims that the fault breaks fail, and the others are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation.wrong.support import Judged, judge, program

slow = pytest.mark.slow
FTP_FLAGS = ("--listen", "{address}", "--port", "{port}", "--root", "{root}", "--user", "{user}:{password}")
MAIL_FLAGS = ("--domain", "{domain}", "--accounts", "{folder}/accounts", "--maildirs", "{maildirs}")
MTA_FLAGS = (
    *MAIL_FLAGS,
    *("--hostname", "{hostname}", "--queue", "{folder}/queue", "--listen", "{address}", "--port", "{port}"),
    *("--submission-port", "{submission_port}", "--retry", "{retry}", "--expire", "{expire}"),
)
# Round-trip times that pass quickly; none of these claims rests on how long something takes.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "ftp-modes": {"rtt": "4ms", "files": "2"},
    "ftp-eavesdrop": {"rtt": "4ms", "size": "20000"},
    "mail-story": {"rtt": "10ms", "near": "4ms", "far": "4ms", "names": "4ms"},
    "mail-access": {"rtt": "4ms", "messages": "10", "attachment": "20000"},
    "mail-outage": {"rtt": "10ms", "messages": "6", "case": "service"},
    "smtp-replies": {"rtt": "4ms"},
}


@dataclass(frozen=True)
class Wrong:
    """A fault of a server in an experiment, and the claims that it breaks."""

    experiment: str
    fault: str
    breaks: frozenset[str]

    @property
    def replacement(self) -> dict[str, str]:
        """What takes the place of lab7's own server."""
        if self.experiment.startswith("ftp-"):
            return {"ftp-server": program("ftp_server.py", self.fault, *FTP_FLAGS)}
        if self.experiment == "mail-access":
            ports = ("{pop3_port}", "{imap_port}", "--listen", "{address}")
            return {"mailbox": program("mailbox_server.py", self.fault, *ports, *MAIL_FLAGS)}
        return {"mta": program("smtp_server.py", self.fault, *MTA_FLAGS)}

    def judged(self, cwd: Path) -> Judged:
        """The claims of the experiment with this server."""
        return judge(self.experiment, self.replacement, SETTINGS[self.experiment], cwd)


def wrong(experiment: str, fault: str, *breaks: str) -> Wrong:
    """A fault, and the claims that it breaks."""
    return Wrong(experiment, fault, frozenset(breaks))


QUICK = [
    wrong("ftp-modes", "wrong-octets", "F2"),
]
SLOW = [
    wrong("mail-access", "pop3-dele-other", "M1"),
    wrong("mail-story", "changes-subject", "S1"),
    wrong("ftp-modes", "any-password", "F4"),
    wrong("mail-access", "imap-long-part", "M2"),
    wrong("ftp-modes", "none"),
    wrong("ftp-modes", "truncates", "F2"),
    wrong("ftp-modes", "empty-list", "F2"),
    wrong("ftp-modes", "drops-uploads", "F2"),
    wrong("ftp-modes", "ignores-cwd", "F5"),
    wrong("ftp-modes", "other-source-port", "F6"),
    # Whatever a client fetches in passive mode does not come, nor do the dialogues come to their end.
    wrong("ftp-modes", "other-pasv-port", "F2", "F4", "F5", "F7"),
    wrong("ftp-modes", "always-125", "F4"),
    wrong("ftp-modes", "never-full", "F4"),
    # F9 rests on a search that finds the file in the FTP transfer.
    wrong("ftp-eavesdrop", "wrong-octets", "F8", "F9"),
    wrong("mail-story", "none"),
    wrong("mail-story", "drops-pictures", "S1", "S3", "S8", "S9"),
    wrong("mail-story", "breaks-picture", "S1", "S3", "S8", "S9"),
    # Alice's text is in every letter and an object of the message with the pictures.
    wrong("mail-story", "changes-text", "S1", "S3", "S7", "S9"),
    wrong("mail-story", "keeps-dots", "S11"),
    wrong("mail-story", "open-after-quit", "S10"),
    wrong("mail-story", "quit-250", "S4", "S10"),
    wrong("mail-access", "none"),
    wrong("mail-access", "pop3-dele-nothing", "M1"),
    wrong("mail-access", "pop3-dele-at-once", "M1"),
    wrong("mail-access", "pop3-retr-other", "M1"),
    wrong("mail-access", "pop3-bare-dots", "M1"),
    wrong("mail-access", "imap-no-flags", "M2"),
    wrong("mail-access", "imap-all-found", "M2"),
    wrong("mail-access", "imap-other-part", "M2"),
    wrong("mail-outage", "none"),
    wrong("mail-outage", "drops-third", "S5"),
]


def name(one: Wrong) -> str:
    """What a test of it is called."""
    return f"{one.experiment}-{one.fault}"


@pytest.mark.parametrize(
    "one",
    [*(pytest.param(each, id=name(each)) for each in QUICK)]
    + [pytest.param(each, id=name(each), marks=slow) for each in SLOW],
)
def test_a_fault_breaks_its_claims_and_no_others(one: Wrong, tmp_path: Path) -> None:
    found = one.judged(tmp_path)
    assert found.not_shown() == one.breaks, {claim: found.evidence[claim] for claim in found.not_shown() ^ one.breaks}


def lacking(found: Judged) -> set[int]:
    """The reply codes that S6 did not find by their cause."""
    return {int(code) for code in re.findall(r"(?m)^(\d{3}): ", found.evidence["S6"])} if found.not_shown() else set()


@slow
@pytest.mark.parametrize(("fault", "codes"), [("any-recipient", {550, 554}), ("first-mail-452", {452})])
def test_a_reply_without_its_cause_is_named(fault: str, codes: set[int], tmp_path: Path) -> None:
    # What takes another server's flags (greylisting, a start anew) a server that is given lacks in any case; and where
    # MAIL is refused, so does what needs it.
    sound = lacking(wrong("smtp-replies", "none").judged(tmp_path))
    assert lacking(wrong("smtp-replies", fault).judged(tmp_path)) >= sound | codes
    assert not sound & codes
