"""Did a client send a message, did a server pass it on, did a client fetch all messages? Decided from packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from experiments.harness.judge.http import Contradiction, listed
from experiments.harness.judge.imap import ImapTraffic
from experiments.harness.judge.imap_claims import whole_messages
from experiments.harness.judge.imap_grammar import ImapGrammarError
from experiments.harness.judge.mail_evidence import Found, decide_mail, digest
from experiments.harness.judge.pop3 import Pop3Traffic
from experiments.harness.judge.smtp import Message, SmtpTraffic
from experiments.harness.judge.smtp_grammar import Command
from experiments.harness.judge.verdict import Verdict


def sent(cell_id: str, traffic: SmtpTraffic, body: bytes, recipient: str) -> Verdict:
    """Whether a message with this body was taken over for this recipient; some clients put an empty line behind it."""

    def check() -> Found:
        for one in traffic.messages:
            if _text(one.body) == _text(body) and one.taken and recipient in _recipients(one):
                frames = [one.mail.frames[0], one.sent.frames[-1]]
                return f"The message is taken over (MAIL in frame {frames[0]}, 250 in {frames[1]}).", frames
        for one in traffic.messages:
            why = "not the message that was to be sent" if one.taken else f"answered with {one.sent.code}"
            whom = ", ".join(_recipients(one))
            raise Contradiction(f"The mail data in frame {one.data.frame} for {whom} are {why}.", *one.sent.frames)
        last = traffic.sessions[-1]
        said = last.exchanges[-1].text if last.exchanges else "no command"
        raise Contradiction(f"No message is sent; the last exchange: {said}.", last.connection.syn.frame)

    return decide_mail(cell_id, [traffic], check)


def _text(body: bytes) -> bytes:
    return body.rstrip(b"\r\n")


def _recipients(message: Message) -> list[str]:
    return [one.said.path for one in message.recipients if isinstance(one.said, Command)]


def fetched_by_pop3(cell_id: str, traffic: Pop3Traffic, contents: Sequence[bytes]) -> Verdict:
    """Whether every message was handed out whole by RETR."""

    def check() -> Found:
        retr = [one for session in traffic.sessions for one in session.asked("RETR") if one.ok]
        _are(contents, [one.content for one in retr], traffic.sessions[0].frame)
        frames = [one.frames[0] for one in retr]
        return f"{len(contents)} messages are handed out whole (RETR in frames {listed(frames)}).", frames

    return decide_mail(cell_id, [traffic], check)


def fetched_by_imap(cell_id: str, traffic: ImapTraffic, contents: Sequence[bytes]) -> Verdict:
    """Whether every message was handed out whole by FETCH, at once or its header and its text."""

    def check() -> Found:
        try:
            got = [content for session in traffic.sessions for content in whole_messages(session).values()]
        except ImapGrammarError as error:
            raise Contradiction(f"A FETCH response is not as the grammar has it: {error}.") from None
        _are(contents, got, traffic.sessions[0].frame)
        frames = [one.frames[0] for session in traffic.sessions for one in session.asked("FETCH")]
        return f"{len(contents)} messages are handed out whole (FETCH in frames {listed(frames)}).", frames

    return decide_mail(cell_id, [traffic], check)


def _are(contents: Iterable[bytes], got: Iterable[bytes], frame: int) -> None:
    """Raise Contradiction unless every message is among what was handed out, and nothing else is."""
    wanted, found = Counter(contents), Counter(got)
    for octets in found:
        if octets not in wanted:
            raise Contradiction(
                f"In the session of frame {frame} {len(octets)} octets (SHA-256 {digest(octets)}) are handed out that "
                "are no message.",
                frame,
            )
    missing = [octets for octets in wanted if octets not in found]
    if missing:
        raise Contradiction(
            f"In the session of frame {frame} {len(missing)} of {len(wanted)} messages are not handed out whole.", frame
        )
