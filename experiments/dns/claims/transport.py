"""Verdict on course claim D1 on DNS transport: UDP port 53, and TCP port 53 after a truncated response.

Traffic (see `wire.traffic`) is captured at the client and at the local name server. Sources: RFC 1035 section 4.2, RFC
6891 section 6.2, RFC 7766 section 5.
"""

from __future__ import annotations

from lab7.experiments.dns.claims.evidence import GivenZones, answer_of
from lab7.experiments.dns.wire.messages import UDP_SIZE_BYTES, DnsMessage
from lab7.experiments.dns.wire.traffic import DNS_PORT, DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    counted,
    decide,
    decides,
)


@decides("D1")
def decide_transport(
    claim: str,
    traffic_udp: DnsTraffic,
    traffic_truncated: DnsTraffic,
    upstream: DnsTraffic | None = None,
    zones: GivenZones | None = None,
) -> Verdict:
    """Decide claim D1: small answers use UDP port 53; after a truncated answer, the query is repeated over TCP.

    `upstream` is the traffic between the local name server and authoritative servers, which must meet the same
    conditions. With `zones`, answers over TCP must equal the zones' records.
    """

    def check() -> Finding:
        if upstream is not None:
            _each_fits(upstream)
        plain = [_by_udp(exchange) for exchange in traffic_udp.exchanges]
        if not plain:
            raise Inconclusive("The capture has no query whose answer fits into a UDP datagram.")
        pairs = _retried(traffic_truncated)
        for _, by_tcp in pairs:
            question = by_tcp.query.question
            if zones is not None and question is not None:
                zones.answered(answer_of(by_tcp), question.qname, question.qtype)
        first, (cut, whole) = plain[0], pairs[0]
        frames = [first.query.frame, answer_of(first).frame, answer_of(cut).frame]
        frames += [whole.query.frame, answer_of(whole).frame]
        return (
            f"{counted(len(plain), 'query')} to UDP port {DNS_PORT} {'is' if len(plain) == 1 else 'are'} answered from "
            f"that port (the first in frame {frames[0]}, its answer in frame {frames[1]}); "
            f"{counted(len(pairs), 'answer')} {'is' if len(pairs) == 1 else 'are'} truncated (TC in frame "
            f"{frames[2]}, {answer_of(cut).size_bytes} octets), and each such query is repeated to TCP port "
            f"{whole.query.target_port} (frame {frames[3]}): the answer has "
            f"{counted(len(answer_of(whole).answer), 'record')} in {answer_of(whole).size_bytes} octets "
            f"(frame {frames[4]})."
        ), dict.fromkeys(frames)

    traffics = [traffic_udp, traffic_truncated, *([] if upstream is None else [upstream])]
    return decide(claim, [merged(traffics)], check)


def _each_fits(traffic: DnsTraffic) -> None:
    """Raise Contradiction if a UDP response is too large, or if no TCP query follows a truncated response.

    A response must not be truncated if the whole answer has at most 512 octets.
    """
    for exchange in traffic.exchanges:
        response = exchange.response
        if exchange.query.transport != "udp" or response is None:
            continue
        _fits(exchange.query, response)
        if response.tc:
            whole = answer_of(_again_by_tcp(exchange, response, traffic))
            # RFC 1035 section 4.2.1: every client accepts 512 octets over UDP, so truncate no answer up to this size.
            if whole.size_bytes <= UDP_SIZE_BYTES:
                raise Contradiction(
                    f"The answer in frame {response.frame} is truncated, although the whole answer has "
                    f"{whole.size_bytes} octets (frame {whole.frame}).",
                    response.frame,
                    whole.frame,
                )


def _by_udp(exchange: DnsExchange) -> DnsExchange:
    query, response = exchange.query, answer_of(exchange)
    if query.transport != "udp":
        raise Contradiction(
            f"The query in frame {query.frame} uses TCP, although no answer was truncated.", query.frame
        )
    if response.tc:
        raise Contradiction(f"The answer in frame {response.frame} is truncated.", response.frame)
    _fits(query, response)
    return exchange


def _fits(query: DnsMessage, response: DnsMessage) -> None:
    """Raise Contradiction if a UDP response is larger than its query permits (RFC 6891 section 6.2.5)."""
    if response.size_bytes > query.udp_limit_bytes:
        raise Contradiction(
            f"The UDP answer in frame {response.frame} has {response.size_bytes} octets, but the query in "
            f"frame {query.frame} permits {query.udp_limit_bytes}.",
            query.frame,
            response.frame,
        )


def _retried(traffic: DnsTraffic) -> list[tuple[DnsExchange, DnsExchange]]:
    """Return (UDP query with truncated response, TCP query with whole response) for each truncated response.

    Raises Inconclusive if there is none.
    """
    pairs = []
    for exchange in traffic.exchanges:
        response = exchange.response
        if exchange.query.transport != "udp":
            continue
        if response is None or not response.tc:
            # Call answer_of() only to raise Contradiction for a missing response or an error response.
            answer_of(exchange)
            continue
        _fits(exchange.query, response)
        pairs.append((exchange, _again_by_tcp(exchange, response, traffic)))
    if not pairs:
        raise Inconclusive("The capture has no truncated answer.")
    return pairs


def _again_by_tcp(exchange: DnsExchange, cut: DnsMessage, traffic: DnsTraffic) -> DnsExchange:
    query = exchange.query
    for later in traffic.exchanges:
        same = (later.query.source, later.query.target, later.query.question) == (
            query.source,
            query.target,
            query.question,
        )
        if not same or later.query.transport != "tcp" or later.query.time_ns < cut.time_ns:
            continue
        whole = answer_of(later)
        if whole.tc or not _data(whole) > _data(cut):
            raise Contradiction(
                f"The TCP answer in frame {whole.frame} has no more records than the truncated one in frame "
                f"{cut.frame}.",
                cut.frame,
                whole.frame,
            )
        return later
    raise Contradiction(
        f"The answer in frame {cut.frame} is truncated, but {query.question} is not repeated by TCP after it.",
        cut.frame,
    )


def _data(message: DnsMessage) -> set[tuple[str, str, str]]:
    # Compare answers without their TTLs, which a cache may have counted down between the two responses.
    return {(record.name, record.type, record.rdata) for record in message.answer}
