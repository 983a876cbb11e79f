"""The judge: what crossed the wire, read by scapy and held against the grammar.

It never uses a service's own parser: a mistake there must not vouch for itself. From the file up:

    frames         a capture as numbered frames            CaptureFile, read_capture
    reassembly     octets in order, and who brought them   Stream
    tcp            connections as one interface saw them   Connection, connections
    grammar        RFC 9112 as regular expressions
    messages       requests and responses                  Conversation, converse
    page_load      the connections of one page load        PageLoad, page_load
    header_table   fields in header blocks of HTTP/2
    http2          frames, requests and responses of HTTP/2
    http           claims H1 to H5
    strategies     claims H6 to H9
    http2_claims   claims H10 to H14
    fetched        did a page arrive whole
    dns_message    one DNS message                         DnsMessage, read_message
    dns            queries and their responses             DnsTraffic, dns_exchanges
    dns_evidence   what the checks of DNS share
    dns_claims     claims D1 to D6 and D14
    dns_path_claims    claims D7 to D9 and D15
    dns_cache_claims   claims D10 to D13                   TtlPoint, ttl_point
    cache          both legs of a proxy                    Legs, read_legs
    cache_claims   claims W3 to W5 and W7
    cache_freshness    claim W6                            deliveries
    cache_savings  claims W1 and W2, where a visit's time went
    link_use       what crossed a link                     LinkUse, link_use
    cache_trace    both sides of a cache, step by step     CheckSeen, check_seen
    cache_expect   what a check of a cache expects
    ftp_grammar    commands and replies of FTP             Command, Reply
    ftp            sessions and their data connections     FtpTraffic, ftp_traffic
    ftp_claims     claims F1 to F3, F6 and F7
    ftp_session_claims     claims F4 and F5
    ftp_eavesdrop  claims F8 and F9                        Overheard, overhear
    ftp_time       where an FTP session's time went
    ftp_fetched    did a client of FTP do what it was to
    decomposition  where the time went
"""

# First: see there.
from experiments.harness.judge import homeless  # noqa: F401
from experiments.harness.judge.decomposition import Decomposition, decompose
from experiments.harness.judge.frames import CaptureFile, Frame, read_capture
from experiments.harness.judge.page_load import PageLoad, page_load
from experiments.harness.judge.verdict import Verdict

__all__ = [
    "CaptureFile",
    "Decomposition",
    "Frame",
    "PageLoad",
    "Verdict",
    "decompose",
    "page_load",
    "read_capture",
]
