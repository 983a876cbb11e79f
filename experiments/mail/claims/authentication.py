"""Verdicts on claims A1 to A6 of the course: mail authentication (SPF, DKIM, DMARC) of forged and genuine messages.

    A1, A2  a server without sender checks accepts a forged message; a server with checks rejects it
    A3      DKIM fails if the body was changed
    A4      forwarded mail fails SPF, and is accepted only with a valid DKIM signature
    A5      the DMARC policy of the forged domain decides the treatment: none, quarantine or reject
    A6      a check needs consecutive DNS lookups, and none with a filled cache

Each test message is identified by a name in its body, in parentheses on a line. The server's own results, in the field
Authentication-Results, are not used: SPF, DKIM and DMARC are evaluated here from the octets of the message and from the
records in the DNS responses that the receiver's server got (wire/dkim, wire/sender_records). The content of the
recipient's folders is read by IMAP.

Source: RFC 5321 section 7.1 (mail is inherently insecure); RFC 7208 sections 4 and 8, appendix G.3 (forwarding); RFC
6376 sections 3 and 6; RFC 7489 sections 3.1, 6.3 and 6.6; RFC 7372 section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from lab7.experiments.harness.judge.decomposition import RESIDUAL, Interval, sum_up
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Traffic,
    Verdict,
    decide,
    decides,
)
from lab7.experiments.mail.wire.dkim import (
    SignatureCheck,
    UnreadableSignature,
    author_domain,
    check_signature,
    field_value,
    signatures,
)
from lab7.experiments.mail.wire.sender_records import Published, dmarc_policy, spf_result
from lab7.experiments.mail.wire.smtp import Message, SmtpSession, SmtpTraffic

BLANK_LINE = b"\r\n\r\n"
REJECTED, ACCEPTED = 550, 250


@dataclass(frozen=True)
class Scene:
    """Evidence about mail authentication: SMTP and DNS traffic at the receiver's server, and the recipient's messages.

    `inbox` and `junk`: the messages that the recipient's agent fetched from these folders by IMAP.
    """

    smtp: SmtpTraffic
    dns: DnsTraffic
    inbox: Sequence[bytes] = ()
    junk: Sequence[bytes] = ()

    @property
    def traffic(self) -> list[Traffic]:
        """Return the captured SMTP and DNS traffic; a claim is undecided if the capture of either is incomplete."""
        return [self.smtp, self.dns]

    def message(self, name: str) -> tuple[SmtpSession, Message]:
        """Return (session, message with `name` in the body). Raises Contradiction if no such message has arrived."""
        for session in self.smtp.sessions:
            for message in session.messages:
                if f"({name})\r\n".encode() in message.body:
                    return session, message
        raise Contradiction(f"No message {name!r} comes to the receiver's server.", *self._frames())

    def _frames(self) -> list[int]:
        return [session.connection.syn.frame for session in self.smtp.sessions[:1]]


@dataclass(frozen=True)
class Judged:
    """Message received by the server, with the results of SPF, DKIM and DMARC computed from packets.

    `spf` is the result for the envelope sender's domain; `dkim` is None for an unsigned message; `policy` is the DMARC
    policy of the From domain.
    """

    address: str
    envelope_domain: str
    author: str
    message: Message
    spf: str
    dkim: SignatureCheck | None
    signer: str
    policy: str
    frames: tuple[int, ...]

    @property
    def passes(self) -> bool:
        """Return True if SPF or DKIM passes for the From field's domain (strict alignment, RFC 7489 section 3.1)."""
        by_spf = self.spf == "pass" and self.envelope_domain == self.author
        return by_spf or (self.dkim is not None and self.dkim.verifies and self.signer == self.author)

    @property
    def code(self) -> int:
        """Return the reply code to the mail data."""
        return self.message.sent.code

    @property
    def reply_frame(self) -> int:
        """Return the frame number of the reply to the mail data."""
        return self.message.sent.frames[-1]


def judge(scene: Scene, name: str) -> Judged:
    """Evaluate SPF, DKIM and DMARC for the message with `name` in the body, from captured packets.

    Raises Contradiction if the message has not arrived, or if the server has not looked up the records.
    """
    session, message = scene.message(name)
    published = Published.of(scene.dns)
    envelope, author = _envelope_domain(message), author_domain(message.content)
    address = session.connection.client.address
    try:
        spf, frames = spf_result(published, envelope, address)
        policy, policy_frame = dmarc_policy(published, author)
    except Inconclusive as reason:
        # Without DNS responses for SPF and DMARC, the server cannot have checked the sender.
        raise Contradiction(f"{reason} So the server did not check {name!r}.", message.data.frame) from None
    frames.append(policy_frame)
    dkim, signer = None, ""
    for signature in signatures(message.content)[:1]:
        record, frame = published.text(signature.key_name, "v=DKIM1")
        signer = signature.domain
        frames.append(frame)
        try:
            dkim = check_signature(message.content, signature, record)
        except UnreadableSignature as error:
            raise Inconclusive(f"{name!r}: {error}.") from None
    return Judged(address, envelope, author, message, spf, dkim, signer, policy, tuple(frames))


def _envelope_domain(message: Message) -> str:
    text = message.mail.text
    path = text.partition("<")[2].partition(">")[0] if "<" in text else text.partition(":")[2]
    return path.rpartition("@")[2].lower()


def _is_read(contents: Sequence[bytes], message: Message) -> bool:
    return any(content.partition(BLANK_LINE)[2] == message.body for content in contents)


def _refused(one: Judged, what: str) -> list[int]:
    """Return the frame numbers of a message's mail data and reply. Raises Contradiction unless the reply is 550."""
    if one.code != REJECTED:
        raise Contradiction(f"{what} is answered by {one.code or 'nothing'}, not by 550.", one.message.data.frame)
    return [one.message.data.frame, one.reply_frame]


def _taken(one: Judged, what: str) -> list[int]:
    """Return the frame numbers of a message's mail data and reply. Raises Contradiction unless the reply is 250."""
    if one.code != ACCEPTED:
        raise Contradiction(f"{what} is answered by {one.code or 'nothing'}, not by 250.", one.message.data.frame)
    return [one.message.data.frame, one.reply_frame]


@decides("A1")
def decide_forgery_without_checks(claim: str, scene: Scene, name: str, servers: Sequence[str]) -> Verdict:
    """Decide claim A1: a server without sender checks accepts a forged message.

    `servers`: addresses of the forged domain's own servers, from which the message must not come.
    """

    def check() -> Finding:
        session, message = scene.message(name)
        address, author = session.connection.client.address, author_domain(message.content)
        if address in servers:
            raise Contradiction(f"{name!r} comes from {address}, a server of {author}.", message.data.frame)
        if _envelope_domain(message) != author:
            raise Contradiction(f"{message.mail.text!r} does not name a sender of {author}.", message.mail.frames[0])
        if not message.taken:
            raise Contradiction(f"{name!r} is answered by {message.sent.code}, not by 250.", message.data.frame)
        if not _is_read(scene.inbox, message):
            raise Contradiction(f"{name!r} is taken, but is not in the recipient's INBOX.", message.data.frame)
        sender = field_value(message.content, "from")
        return (
            f"{address} is no server of {author}; it says {message.mail.text.partition(':')[2].split()[0]} and From: "
            f"{sender}, is answered by 250 (frame {message.sent.frames[-1]}), and the message is in INBOX."
        ), [*message.mail.frames, message.data.frame, message.sent.frames[-1]]

    return decide(claim, [scene.smtp], check)


@decides("A2")
def decide_forgery_with_checks(claim: str, scene: Scene, forged: str, genuine: str) -> Verdict:
    """Decide claim A2: a server with checks rejects a forged message, and accepts a genuine one of the same author."""

    def check() -> Finding:
        bad, good = judge(scene, forged), judge(scene, genuine)
        if bad.passes or bad.policy != "reject":
            raise Contradiction(
                f"{forged!r} is no forgery by the records: SPF {bad.spf}, policy {bad.policy or 'none'}.",
                bad.message.data.frame,
            )
        frames = [*_refused(bad, f"The forged {forged!r}"), *bad.frames]
        if not good.passes:
            raise Contradiction(f"{genuine!r} passes neither SPF ({good.spf}) nor DKIM.", good.message.data.frame)
        frames += _taken(good, f"The genuine {genuine!r}")
        if _is_read([*scene.inbox, *scene.junk], bad.message) or not _is_read(scene.inbox, good.message):
            raise Contradiction("INBOX does not have the genuine message alone.", bad.message.data.frame)
        signer = f"signature of {good.signer}" if good.signer else "no signature"
        return (
            f"The forgery from {bad.address}: SPF of {bad.envelope_domain} {bad.spf}, no valid signature, DMARC policy "
            f"{bad.policy}: 550 (frame {bad.reply_frame}). The genuine message from {good.address}: SPF {good.spf}, "
            f"{signer}: 250 (frame {good.reply_frame}), and in INBOX."
        ), frames

    return decide(claim, scene.traffic, check)


@decides("A3")
def decide_signature_of_content(claim: str, scene: Scene, genuine: str, altered: str) -> Verdict:
    """Decide claim A3: DKIM passes for a signed message, and fails for the same message with another body."""

    def check() -> Finding:
        good, bad = judge(scene, genuine), judge(scene, altered)
        if good.dkim is None or not good.dkim.verifies:
            raise Contradiction(f"{genuine!r} has no valid signature.", good.message.data.frame)
        if bad.dkim is None or good.message.body == bad.message.body:
            raise Contradiction(f"{altered!r} has no signature, or the same body.", bad.message.data.frame)
        if bad.dkim.verifies:
            raise Contradiction(f"The signature of {altered!r} verifies.", bad.message.data.frame)
        frames = [*_taken(good, f"{genuine!r}"), *_refused(bad, f"{altered!r}"), *good.frames]
        header = "still verifies over the header, but" if bad.dkim.header_is_signed else "does not verify, and"
        body = "not that of bh=" if not bad.dkim.body_is_signed else "that of bh="
        return (
            f"The signature of {good.signer} verifies with the key in the DNS (frame {good.frames[-1]}). In the "
            f"altered message it {header} the SHA-256 of the body is {body}: 550 (frame {bad.reply_frame})."
        ), frames

    return decide(claim, scene.traffic, check)


@decides("A4")
def decide_forwarding(claim: str, scene: Scene, signed: str, unsigned: str, forwarder: str) -> Verdict:
    """Decide claim A4: forwarded mail fails SPF, and is accepted only with a valid DKIM signature."""

    def check() -> Finding:
        good, bad = judge(scene, signed), judge(scene, unsigned)
        for one, name in ((good, signed), (bad, unsigned)):
            if one.address != forwarder:
                raise Contradiction(f"{name!r} comes from {one.address}, not forwarded.", one.message.data.frame)
            if one.spf != "fail":
                raise Contradiction(f"SPF of the forwarded {name!r} is {one.spf}.", one.message.data.frame)
        if good.dkim is None or not good.dkim.verifies or bad.dkim is not None:
            raise Contradiction(f"Not {signed!r} alone has a valid signature.", good.message.data.frame)
        frames = [*_taken(good, f"{signed!r}"), *_refused(bad, f"{unsigned!r}"), *good.frames]
        if not _is_read(scene.inbox, good.message):
            raise Contradiction(f"{signed!r} is not in INBOX.", good.message.data.frame)
        return (
            f"Both come from {forwarder} with the envelope of {good.envelope_domain}: SPF fails. The signature of "
            f"{good.signer} is unbroken: 250 (frame {good.reply_frame}); without a signature the message is refused: "
            f"550 (frame {bad.reply_frame})."
        ), frames

    return decide(claim, scene.traffic, check)


@decides("A5")
def decide_policies(claim: str, scene: Scene, names: Sequence[str]) -> Verdict:
    """Decide claim A5: a server treats forged mail by the forged domain's DMARC policy: none, quarantine or reject."""

    def check() -> Finding:
        evidence, frames = [], []
        wanted = {"none": (ACCEPTED, ["INBOX"]), "quarantine": (ACCEPTED, ["Junk"]), "reject": (REJECTED, [])}
        for name in names:
            one = judge(scene, name)
            if one.passes or one.policy not in wanted:
                raise Contradiction(f"{name!r} passes, or {one.author} has no policy.", one.message.data.frame)
            code, places = wanted.pop(one.policy)
            if one.code != code:
                raise Contradiction(
                    f"{one.author} asks for {one.policy}, and the reply is {one.code}.", one.message.data.frame
                )
            folders = {"INBOX": scene.inbox, "Junk": scene.junk}
            found = [each for each, held in folders.items() if _is_read(held, one.message)]
            if found != places:
                raise Contradiction(
                    f"{one.author} asks for {one.policy}, and the message is in {' and '.join(found) or 'no folder'}.",
                    one.message.data.frame,
                )
            place = " ".join(found) or "no folder"
            evidence.append(f"{one.policy} of {one.author}: {one.code} (frame {one.reply_frame}), in {place}")
            frames += [one.frames[-1], one.message.data.frame, one.reply_frame]
        if wanted:
            raise Inconclusive(f"No message is from a domain with the policy {', '.join(wanted)}.")
        return "; ".join(evidence) + ".", frames

    return decide(claim, scene.traffic, check)


@dataclass(frozen=True)
class Check:
    """Sender check of one message by a server: the time from the end of the mail data to the reply, and DNS lookups.

    `lookups`: DNS exchanges of the receiver's server with its resolver; `upstream`: the resolver's exchanges with name
    servers.
    """

    message: Message
    lookups: Sequence[DnsExchange]
    upstream: Sequence[DnsExchange]

    @property
    def end_ns(self) -> int:
        """Return the time in ns of the reply to the mail data."""
        reply = self.message.sent.final
        return self.message.data.last_ns if reply is None else reply.last_ns

    @property
    def total_s(self) -> float:
        """Return the seconds from the end of the mail data to the reply."""
        return (self.end_ns - self.message.data.last_ns) / 1e9

    @property
    def terms(self) -> dict[str, float]:
        """Return the terms of the check's duration in s, keyed by kind of DNS lookup: spf, dkim, dmarc.

        The rest of the duration has the key `residual`.
        """
        lookups = [
            Interval(_kind(exchange), exchange.query.time_ns, exchange.response.time_ns)
            for exchange in self.lookups
            if exchange.response is not None
        ]
        found = sum_up(lookups, self.message.data.last_ns, self.end_ns, ("dmarc", "dkim", "spf")).terms
        return {name: value_s for name, value_s in found.items() if value_s or name == RESIDUAL}


def _kind(exchange: DnsExchange) -> str:
    labels = exchange.query.question.qname.split(".") if exchange.query.question is not None else []
    return "dmarc" if "_dmarc" in labels else "dkim" if "_domainkey" in labels else "spf"


def check_of(scene: Scene, upstream: DnsTraffic) -> Check | None:
    """Return the sender check of the first message in `scene`; None if it has no message with a reply.

    `upstream`: the DNS traffic between the resolver and name servers.
    """
    message = next((message for message in scene.smtp.messages if message.sent.final is not None), None)
    if message is None or message.sent.final is None:
        return None
    span = message.data.last_ns, message.sent.final.last_ns
    own = scene.dns.between(*span).exchanges
    asked_by = {exchange.query.target for exchange in own}
    return Check(message, own, [one for one in upstream.between(*span).exchanges if one.query.source in asked_by])


@decides("A6")
def decide_lookup_cost(claim: str, traffic: Sequence[Traffic], first: Sequence[Check], later: Check | None) -> Verdict:
    """Decide claim A6: a first sender check makes the resolver send consecutive queries; with a filled cache, none."""

    def check() -> Finding:
        if not first or later is None:
            raise Inconclusive("There is no check with an empty cache and one with a filled cache.")
        frames: list[int] = []
        for one in first:
            if not one.upstream:
                raise Contradiction("The reply waits for no lookup.", one.message.data.frame)
            for before, after in pairwise(one.upstream):
                if before.response is None or after.query.time_ns < before.response.time_ns:
                    raise Contradiction("Two lookups are under way at once.", after.query.frame)
            frames += [one.message.data.frame, one.upstream[0].query.frame, one.upstream[-1].query.frame]
        if later.upstream:
            raise Contradiction("With a filled cache there is a lookup upstream.", later.upstream[0].query.frame)
        count = len(first[0].upstream)
        return (
            f"The first check causes {count} queries of the resolver one after the other, the next one of the same "
            f"domain none ({later.total_s * 1e3:.1f} ms)."
        ), [*frames, later.message.data.frame]

    return decide(claim, traffic, check)
