"""The judge: what crossed the wire, read by scapy and held against the grammar.

It never uses a service's own parser: a mistake there must not vouch for itself. From the file up:

    frames         a capture as numbered frames            CaptureFile, read_capture
    reassembly     octets in order, and who brought them   Stream
    tcp            connections as one interface saw them   Connection, connections
    grammar        RFC 9112 as regular expressions
    messages       requests and responses                  Conversation, converse
    page_load      the connections of one page load        PageLoad, page_load
    delivered      status and content against the files    undelivered, difference
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
    smtp_grammar   commands, replies and mail data of SMTP Command, Reply, MailData
    smtp           sessions of SMTP                        SmtpTraffic, smtp_traffic
    smtp_claims    claims S1, S2, S4, S7 and S10           MailLegs, mail_legs
    smtp_content   claims S8, S9 and S11
    smtp_replies   claim S6, and its positive codes        Scenario
    smtp_refusals  its codes from 421 on
    smtp_time      where a message's time went
    mail_story     claim S3                                Story, follow
    mail_evidence  what the checks of mail share
    pop3_grammar   commands and responses of POP3          Command, Response
    pop3           sessions of POP3                        Pop3Traffic, pop3_traffic
    pop3_claims    claim M1
    imap_grammar   commands, responses, values of IMAP     Command, Response, read_values
    imap           sessions of IMAP                        ImapTraffic, imap_traffic
    imap_claims    claim M2
    webmail_claims claim M3
    pull_push_claims   claim M4
    mail_outage    claim S5                                Episode, attempts
    mail_access_time   where a mailbox session's time went
    mail_fetched   did a mail client do what it was to
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
