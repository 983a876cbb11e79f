"""HTTP server exercise: test requests to a student's file server, from plain to conditional GET (RFC 9110, RFC 9112).

The server has a folder with four files, whose names and contents are drawn from the run's seed: a page, a text in
UTF-8, a picture, and an empty file. A client without an HTTP parser (peers.raw_client) sends the requests as octets.
Each claim, such as "A conditional GET is answered by 304 or 200", is decided from the capture at the client. Left out:
methods that change a resource, ranges, content coding, and HTTP/2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from lab7.experiments.analysis.rules import http1
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.exercise import EXERCISES, More, experiment_of, no_more, outcome_of
from lab7.experiments.assignments.programs.http_cases import STATUS, Case, View, decide_cases, get
from lab7.experiments.assignments.programs.trial import RAW_CLIENT, send_all, subject_testbed
from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Outcome, Run
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import measured, site_folder
from lab7.experiments.http.lab import AT_CLIENT, MODIFIED, ORIGIN_ADDRESS, write_picture
from lab7.topologies.web import WebTopo

CLOSE = "Connection: close"
IMF_FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"
# Number of `..` segments in targets that must not leave the document root, which is less deep than this.
DEPTH = 16
FRAMING_RULES = frozenset(rule.id for rule in (http1.CONTENT_LENGTH, http1.FRAMING, http1.CHUNK_SIZE, http1.CHUNK_END))

TYPE = Rule("http-server-type", "http", "Content-Type is the media type of the representation.", "RFC 9110 section 8.3")
DATE = Rule("http-server-date", "http", "An origin server with a clock sends Date.", "RFC 9110 section 6.6.1")
LAST_MODIFIED = Rule(
    "http-server-last-modified",
    "http",
    "Last-Modified is the time of the last change of the file.",
    "RFC 9110 section 8.8.2",
)
HEAD_LENGTH = Rule(
    "http-server-head-length",
    "http",
    "Content-Length in a response to HEAD is that of the response to GET.",
    "RFC 9110 section 8.6",
)
NOT_FOUND = Rule(
    "http-server-not-found", "http", "404 says that the target has no representation.", "RFC 9110 section 15.5.5"
)
KEPT = Rule("http-server-kept", "http", "A connection of HTTP/1.1 persists after the response.", "RFC 9112 section 9.3")
CLOSED = Rule(
    "http-server-closed",
    "http",
    "The server closes the connection after the response to a request with Connection: close.",
    "RFC 9112 section 9.6",
)
CONDITIONAL = Rule(
    "http-server-conditional",
    "http",
    "304 if the file has not changed since If-Modified-Since, else 200 with the content.",
    "RFC 9110 section 13.1.3",
)
TRAVERSAL = Rule(
    "http-server-traversal", "http", "A target with `..` does not leave the document root.", "RFC 9110 section 17.3"
)
METHOD = Rule(
    "http-server-method",
    "http",
    "An unknown method is answered by 501, a forbidden one by 405.",
    "RFC 9110 section 9.1",
)
NO_HOST = Rule("http-server-no-host", "http", "A request without Host is answered by 400.", "RFC 9112 section 3.2")


@dataclass(frozen=True)
class Site:
    """Test site: file contents keyed by path (the page also at `/`), a path that does not exist, an unknown method."""

    files: dict[str, bytes]
    text: str
    picture: str
    empty: str
    missing: str
    method: str


@dataclass
class Plan:
    """Test site of the exercise, and the test cases in the order in which their requests are sent."""

    site: Site
    cases: list[Case]


def make_site(folder: Path, seed: int) -> Site:
    """Write the files of the test site drawn from a seed into an empty folder; return the site."""
    random = Random(seed)
    words = [f"{random.choice(('notes', 'list', 'table', 'news'))}-{random.randrange(16**6):06x}" for _ in range(4)]
    text = f"café, naïve, 10 €: {random.randrange(10**9)}\n" * random.randrange(20, 60)
    page = f"<!DOCTYPE html>\n<title>{words[0]}</title>\n<p>{random.randrange(10**9)}</p>\n"
    (folder / "index.html").write_bytes(page.encode("ascii"))
    (folder / f"{words[0]}.txt").write_bytes(text.encode())
    write_picture(folder / f"{words[1]}.png", random.randrange(5_000, 30_000), seed)
    (folder / f"{words[2]}.txt").write_bytes(b"")
    for path in folder.iterdir():
        os.utime(path, (MODIFIED, MODIFIED))
    files = {f"/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    files["/"] = files["/index.html"]
    method = "".join(random.choices("ABCDEFGHIJ", k=6))
    return Site(files, f"/{words[0]}.txt", f"/{words[1]}.png", f"/{words[2]}.txt", f"/{words[3]}.html", method)


def cases_of(site: Site, which: str, more: More = no_more) -> list[Case]:
    """Return the test cases for a test site, in the order of sending.

    If `which` is "public", those hidden from students are omitted. `more`: function that adds further test cases.
    """
    modified = _date(MODIFIED)
    since, before = f"If-Modified-Since: {modified}", f"If-Modified-Since: {_date(MODIFIED - 86_400)}"
    typed = {"/": b"text/html", site.text: b"text/plain", site.picture: b"image/png"}
    framed = [site.text, site.picture, site.empty]
    head_rules = frozenset((http1.NO_CONTENT.id, *FRAMING_RULES))
    conditional_rules = frozenset((http1.NO_CONTENT.id, http1.NOT_MODIFIED.id))
    kept_rules = frozenset((http1.PERSISTENCE.id, *FRAMING_RULES))
    cases = [
        *(Case("get", (get(path, CLOSE),), _file(site, path)) for path in (site.text, "/")),
        *(Case("content", (get(path, CLOSE),), _file(site, path), FRAMING_RULES) for path in framed),
        *(
            Case("fields", (get(path, CLOSE),), _fields(kind), frozenset((http1.DATE_FORMAT.id,)))
            for path, kind in typed.items()
        ),
        Case("head", (get(site.picture, CLOSE, method="HEAD"),), _head(site), head_rules),
        Case("missing", (get(site.missing, CLOSE),), _missing),
        Case("kept", tuple(map(get, (site.text, site.picture, "/"))), _kept(site), kept_rules),
        Case("closed", (get(site.text, CLOSE),), _closed),
        Case("closed", (get(site.text, version="HTTP/1.0"),), _closed),
        Case("conditional", (get(site.text, CLOSE, since),), _not_modified, conditional_rules),
        Case("conditional", (get(site.text, CLOSE, before),), _modified(site), conditional_rules),
    ]
    if which == "public":
        return cases
    halves = get(site.text, CLOSE)
    cut = len(halves) // 2
    cases += [
        Case("segments", (halves[:cut], halves[cut:]), _file(site, site.text)),
        Case("pipelined", (get(site.text) + get(site.picture, CLOSE),), _pipelined(site)),
        *(
            Case("traversal", (get(f"{target}/etc/passwd", CLOSE),), _traversal)
            for target in ("/..", "/.." * DEPTH, "/%2e%2e" * DEPTH)
        ),
        Case("errors", (get("/", CLOSE, method=site.method),), _unknown_method),
        Case("errors", (get("/", CLOSE, host=""),), _no_host),
    ]
    plan = Plan(site, cases)
    more(plan)
    return plan.cases


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime(IMF_FIXDATE)


def _file(site: Site, path: str) -> Callable[[View], str]:
    def check(view: View) -> str:
        view.expect_file(view.response(), path, site.files[path])
        return f"GET {path} is answered by 200 with the {len(site.files[path])} octets of the file."

    return check


def _fields(media_type: bytes) -> Callable[[View], str]:
    def check(view: View) -> str:
        head = view.response()
        types = head.values(b"content-type")
        if not types or types[0].partition(b";")[0].strip().lower() != media_type:
            found = f"Content-Type {types[0].decode('ascii', 'replace')}" if types else "no Content-Type"
            raise view.line_fault(TYPE, head, b"content-type", found, f"Content-Type: {media_type.decode()}\\r\\n")
        if not head.values(b"date"):
            raise view.line_fault(
                DATE, head, b"date", "no Date", f"Date: {_date(MODIFIED)}\\r\\n (with the time of now)"
            )
        modified = _date(MODIFIED)
        given = head.values(b"last-modified")
        if given != [modified.encode()]:
            found = f"Last-Modified {given[0].decode('ascii', 'replace')}" if given else "no Last-Modified"
            raise view.line_fault(LAST_MODIFIED, head, b"last-modified", found, f"Last-Modified: {modified}\\r\\n")
        return f"The response has Content-Type {media_type.decode()}, Date and Last-Modified."

    return check


def _head(site: Site) -> Callable[[View], str]:
    def check(view: View) -> str:
        head = view.response()
        view.expect_status(head, (b"200",), STATUS, f"HEAD {site.picture}, which exists")
        size = str(len(site.files[site.picture])).encode()
        lengths = head.values(b"content-length")
        if lengths and lengths != [size]:
            found, expected = f"Content-Length {lengths[0].decode()}", f"Content-Length: {size.decode()}\\r\\n"
            raise view.line_fault(HEAD_LENGTH, head, b"content-length", found, expected)
        return "HEAD is answered by the head of the response to GET, without content."

    return check


def _missing(view: View) -> str:
    view.expect_status(view.response(), (b"404",), NOT_FOUND, "GET of a target that does not exist")
    return "A target that does not exist is answered by 404."


def _kept(site: Site) -> Callable[[View], str]:
    def check(view: View) -> str:
        paths = (site.text, site.picture, "/")
        for number, path in enumerate(paths):
            fin = view.connection.from_server.fin
            if number and number >= len(view.dialogue.responses) and fin is not None:
                last = view.response(number - 1)
                found = f"the connection is closed (FIN in frame {fin.frame}) after response {number} of {len(paths)}"
                raise view.line_fault(KEPT, last, b"connection", found, "a connection kept open for the next request")
            view.expect_file(view.response(number), path, site.files[path])
        return f"{len(paths)} requests are answered on one connection."

    return check


def _closed(view: View) -> str:
    head, fin, client_fin = view.response(), view.connection.from_server.fin, view.connection.from_client.fin
    if fin is None or (client_fin is not None and client_fin.time_ns < fin.time_ns):
        old = view.dialogue.requests[0].words[2] == b"HTTP/1.0"
        asked = "HTTP/1.0" if old else "Connection: close"
        found = f"the connection stays open after the response to a request with {asked}"
        raise view.line_fault(CLOSED, head, b"connection", found, "a FIN after the last octet of the response")
    return "The server closes the connection when it must."


def _not_modified(view: View) -> str:
    view.expect_status(view.response(), (b"304",), CONDITIONAL, "If-Modified-Since with the file's Last-Modified")
    return "A file that has not changed is answered by 304."


def _modified(site: Site) -> Callable[[View], str]:
    def check(view: View) -> str:
        head = view.response()
        view.expect_status(head, (b"200",), CONDITIONAL, "If-Modified-Since with a date before the file's last change")
        view.expect_file(head, site.text, site.files[site.text])
        return "A file that has changed is answered by 200."

    return check


def _pipelined(site: Site) -> Callable[[View], str]:
    def check(view: View) -> str:
        for number, path in enumerate((site.text, site.picture)):
            view.expect_file(view.response(number), path, site.files[path])
        return "Two requests in one segment are answered in order."

    return check


def _traversal(view: View) -> str:
    head = view.response()
    allowed = (b"404", b"400", b"403")
    view.expect_status(head, allowed, TRAVERSAL, "a target outside of the document root")
    return "A target outside of the document root is refused."


def _unknown_method(view: View) -> str:
    view.expect_status(view.response(), (b"501", b"405", b"400"), METHOD, "an unknown method")
    return "An unknown method is refused."


def _no_host(view: View) -> str:
    view.expect_status(view.response(), (b"400",), NO_HOST, "a request of HTTP/1.1 without Host")
    return "A request without Host is refused."


def decide(captured: CaptureFile, site: Site, which: str, more: More = no_more) -> tuple[Verdict, ...]:
    """Return a verdict (shown, failed or undecided) on each claim about the HTTP server under test, from a capture."""
    return decide_cases(captured, AT_CLIENT, DEFAULT_PORT, cases_of(site, which, more))


def run(context: Run, more: More = no_more) -> Outcome:
    """Send the requests of all test cases in turn, and decide the claims from the capture at the client."""
    which = context.parameters["exercise"]
    with site_folder(context) as folder:
        site = make_site(folder, context.seed)
        cases = cases_of(site, which, more)
        topo = WebTopo(bw=100, delay="5ms", root=str(folder), origin_flags="")
        network = subject_testbed(context, topo, "origin", {"origin": "origin"}, lambda _host: {"root": str(folder)})
        with measured(context, network, progress=None) as lab:
            client = Driver(lab.bed.host("client"), [RAW_CLIENT])
            with lab.recording(["client"]):
                send_all(context, client, [(one.claim, one.request(ORIGIN_ADDRESS, DEFAULT_PORT)) for one in cases])
        verdicts = decide(lab.read_capture(), site, which, more)
    return outcome_of(context, lab, verdicts, STATEMENTS, "origin", "lab7.services.http.origin")


def partial(
    captured: CaptureFile, folder: Path, seed: int, parameters: dict[str, str], more: More = no_more
) -> tuple[Verdict, ...]:
    """Return the verdicts that the capture of an interrupted run supports; the site is written into `folder` again."""
    return decide(captured, make_site(folder, seed), parameters.get("exercise", EXERCISES[0]), more)


STATEMENTS = {
    "get": "The server answers GET by 200 and the octets of the file.",
    "content": "Content is sent as it is, and its length is what the fields say.",
    "fields": "Responses have Content-Type, Date and Last-Modified.",
    "head": "HEAD is answered by the head of the response to GET.",
    "missing": "A target that does not exist is answered by 404.",
    "kept": "A connection of HTTP/1.1 persists.",
    "closed": "A connection is closed after Connection: close and after HTTP/1.0.",
    "conditional": "A conditional GET is answered by 304 or 200.",
    "segments": "A request may come in several segments.",
    "pipelined": "Requests may come together, and are answered in order.",
    "traversal": "No target leaves the document root.",
    "errors": "Unknown methods and requests without Host are refused.",
}
EXPERIMENT = experiment_of(
    "http-server-exercise",
    "Does this HTTP server do what RFC 9110 and RFC 9112 require of a server of files?",
    "HTTP",
    STATEMENTS,
    "origin",
    run,
)
