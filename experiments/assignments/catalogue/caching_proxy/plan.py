"""Test cases of the caching proxy exercise: client requests, scripted origin responses, and checks of the packets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lab7.experiments.analysis.rules import http1
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.exercise import More, no_more
from lab7.experiments.assignments.programs.http_cases import STATUS
from lab7.experiments.assignments.programs.proxy_cases import AGE_SLACK_S, Ask, Case, Turn, absolute, field_text

NAME = "www.example.com"
CLOSE = "Connection: close"
# Freshness lifetime in seconds that exceeds the duration of every test case.
LONG_S = 600
FRAMING_RULES = frozenset(
    rule.id for rule in (http1.CONTENT_LENGTH, http1.FRAMING, http1.CHUNK_SIZE, http1.CHUNK_END, http1.NO_CONTENT)
)
NS = 1_000_000_000
Check = Callable[[Sequence[Turn]], str]
Steps = list[dict[str, Any]]

FORWARD = Rule(
    "http-proxy-forward", "http", "A proxy forwards a request that it cannot answer itself.", "RFC 9110 section 3.7"
)
TARGET = Rule(
    "http-proxy-target",
    "http",
    "A request to an origin has its target in origin-form.",
    "RFC 9112 section 3.2.1",
)
CONTENT = Rule("http-proxy-content", "http", "A proxy forwards the content of a message.", "RFC 9110 section 6.4")
HOP = Rule(
    "http-proxy-hop-by-hop",
    "http",
    "A proxy removes Connection, and the fields that Connection names.",
    "RFC 9110 section 7.6.1",
)
END_TO_END = Rule("http-proxy-end-to-end", "http", "A proxy forwards unknown fields.", "RFC 9110 section 5.1")
VIA = Rule("http-proxy-via", "http", "A proxy adds Via to each message that it forwards.", "RFC 9110 section 7.6.3")
FRESH = Rule(
    "http-cache-fresh", "http", "A cache answers from a stored response that is fresh.", "RFC 9111 section 4.2"
)
NO_STORE = Rule("http-cache-no-store", "http", "A response with no-store is not stored.", "RFC 9111 section 5.2.2.5")
PRIVATE = Rule(
    "http-cache-private", "http", "A shared cache does not store a response with private.", "RFC 9111 section 5.2.2.7"
)
EXPIRED = Rule(
    "http-cache-expired",
    "http",
    "A response is stale when its age has reached max-age, and is not used without validation.",
    "RFC 9111 section 4.2",
)
VALIDATION = Rule(
    "http-cache-validation",
    "http",
    "A cache validates a stored response by If-None-Match with its ETag.",
    "RFC 9111 section 4.3.1",
)
FRESHENED = Rule("http-cache-freshened", "http", "304 makes the stored response fresh again.", "RFC 9111 section 4.3.4")
CHANGED = Rule(
    "http-cache-changed", "http", "A full response to a validation replaces the stored one.", "RFC 9111 section 4.3.3"
)
AGE = Rule(
    "http-cache-age",
    "http",
    "Age is the time in seconds since the response was generated or validated at the origin.",
    "RFC 9111 section 5.1",
)
KEY = Rule("http-cache-key", "http", "The cache key has the whole target URI, query included.", "RFC 9111 section 2")
VARY = Rule(
    "http-cache-vary",
    "http",
    "A stored response is used only if the request has the same values of the fields that Vary names.",
    "RFC 9111 section 4.1",
)
METHODS = Rule("http-cache-methods", "http", "A request with POST is forwarded to the origin.", "RFC 9111 section 4")
ERRORS = Rule(
    "http-cache-errors",
    "http",
    "A response of 503 without a freshness lifetime is not stored.",
    "RFC 9111 section 3",
)
MUST_REVALIDATE = Rule(
    "http-cache-must-revalidate",
    "http",
    "A stale response with must-revalidate is not sent, even if the origin does not answer: 504.",
    "RFC 9111 section 5.2.2.2",
)
NO_CACHE = Rule(
    "http-cache-no-cache",
    "http",
    "A response with no-cache is validated before each use.",
    "RFC 9111 section 5.2.2.4",
)
INVALIDATION = Rule(
    "http-cache-invalidation",
    "http",
    "A cache invalidates the stored response when an unsafe request to its target succeeds.",
    "RFC 9111 section 4.4",
)
ARRIVAL = Rule(
    "http-cache-arrival",
    "http",
    "The age of a response begins with the Age that it arrives with.",
    "RFC 9111 section 4.2.3",
)


@dataclass
class Plan:
    """Test cases drawn from a seed, and the origin's scripted responses keyed by target (see programs.peers.origin)."""

    random: Random
    cases: list[Case] = field(default_factory=list)
    script: dict[str, Any] = field(default_factory=dict)

    def target(self, *steps: Mapping[str, Any], query: str = "") -> str:
        """Store scripted origin responses (`steps`) for a new random request target; return the target.

        The n-th request for the target gets the n-th response, and all further requests get the last one.
        """
        word = self.random.choice(("news", "notes", "prices", "table"))
        name = f"/{word}-{self.random.randrange(16**6):06x}"
        self.script[name + query] = list(steps)
        return name + query

    def text(self) -> bytes:
        """Return random text as the content of a response."""
        return "".join(
            f"row {self.random.getrandbits(160):040x}\n" for _ in range(self.random.randrange(8, 40))
        ).encode()

    def etag(self) -> str:
        """Return a random entity tag."""
        return f'"{self.random.getrandbits(48):012x}"'

    def add(self, claim: str, check: Check, *asks: Ask, rules: frozenset[str] = frozenset()) -> None:
        """Add a test case for a claim: the client's requests (`asks`), and the check of their packets.

        rules: ids of the message rules (RFC requirements on single messages) that the proxy's messages must also meet.
        """
        self.cases.append(Case(claim, asks, check, rules))


def step(content: bytes, cache: str = "", *, etag: str = "", status: int = 200, **more: Any) -> dict[str, Any]:
    """Return one scripted response of the origin; `cache` is the value of its Cache-Control field."""
    fields = [["Content-Type", "text/plain"]]
    fields += [["Cache-Control", cache]] if cache else []
    fields += [["ETag", etag]] if etag else []
    return {"status": status, "content": content.hex(), "fields": [*fields, *more.pop("fields", [])], **more}


def ask(target: str, *fields: str, wait_s: float = 0, method: str = "GET", content: bytes = b"") -> Ask:
    """Return a client request for a target, in absolute-form; the client sends it after a pause of `wait_s` seconds."""
    return Ask(absolute(NAME, target, CLOSE, *fields, method=method, content=content), target, wait_s)


def plan_of(seed: int, which: str, more: More = no_more) -> Plan:
    """Return the test cases and the origin's scripted responses, drawn from a seed.

    If `which` is "public", test cases hidden from students are omitted. `more`: function that adds further test cases.
    """
    plan = Plan(Random(seed))
    for add in (_forward, _fields, _framing, _hit, _not_storable, _validation, _age, _key):
        add(plan)
    if which != "public":
        _hidden(plan)
        more(plan)
    return plan


def _forward(plan: Plan) -> None:
    for query in ("", f"?id={plan.random.randrange(10_000)}"):
        content = plan.text()
        target = plan.target(step(content, "no-store"), query=query)
        plan.add("forward", _relayed(content), ask(target), rules=FRAMING_RULES)
    target = plan.target(step(b"no such page\n", "no-store", status=404))
    plan.add("forward", _not_found, ask(target))


def _relayed(content: bytes) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        (turn,) = turns
        sent = turn.expect_forwarded(FORWARD, "which nothing stored can answer", f"GET {turn.target} HTTP/1.1\\r\\n")
        if sent.request.words[1] != turn.target.encode():
            found = f"the target {sent.request.words[1].decode('ascii', 'replace')}"
            raise sent.fault(TARGET, found, f"GET {turn.target} HTTP/1.1\\r\\n")
        if sent.request.values(b"host") != [NAME.encode()]:
            raise sent.fault(TARGET, field_text(sent.request, b"host"), f"Host: {NAME}\\r\\n", b"host")
        turn.expect_content(content, STATUS)
        return f"GET {turn.target} is forwarded, and answered by 200 with the {len(content)} octets of the origin."

    return check


def _not_found(turns: Sequence[Turn]) -> str:
    (turn,) = turns
    turn.view.expect_status(turn.view.response(), (b"404",), STATUS, "a request that the origin answers by 404")
    return "A 404 of the origin is forwarded."


def _fields(plan: Plan) -> None:
    mine, theirs, kept = (f"X-{word}-{plan.random.randrange(1000)}" for word in ("Mine", "Theirs", "Kept"))
    content = plan.text()
    fields = [["Connection", f"{theirs}, Keep-Alive"], ["Keep-Alive", "timeout=5"], [theirs, "1"], [kept, "origin"]]
    target = plan.target(step(content, "no-store", fields=fields))
    asked = absolute(NAME, target, f"Connection: close, {mine}", f"{mine}: 1", f"{kept}: client")
    removed = mine.lower().encode(), theirs.lower().encode()
    plan.add("hop-by-hop", _hop_by_hop(removed, kept), Ask(asked, target))
    plan.add("via", _via, ask(plan.target(step(plan.text(), "no-store"))))


def _hop_by_hop(removed: tuple[bytes, bytes], kept: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        (turn,) = turns
        sent = turn.expect_forwarded(FORWARD, "which nothing stored can answer", f"GET {turn.target} HTTP/1.1\\r\\n")
        head, name = turn.view.response(), kept.lower().encode()
        mine, theirs = removed
        if sent.request.values(mine):
            raise sent.fault(HOP, f"{field_text(sent.request, mine)}, which Connection names", "no octets", mine)
        if head.values(theirs):
            found = f"{field_text(head, theirs)}, which Connection names"
            raise turn.view.line_fault(HOP, head, theirs, found, "no octets")
        if sent.request.values(name) != [b"client"]:
            raise sent.fault(END_TO_END, field_text(sent.request, name), f"{kept}: client\\r\\n", name)
        if head.values(name) != [b"origin"]:
            raise turn.view.line_fault(END_TO_END, head, name, field_text(head, name), f"{kept}: origin\\r\\n")
        return "Fields that Connection names are removed in both directions, and others are forwarded."

    return check


def _via(turns: Sequence[Turn]) -> str:
    (turn,) = turns
    sent = turn.expect_forwarded(FORWARD, "which nothing stored can answer", f"GET {turn.target} HTTP/1.1\\r\\n")
    if not sent.request.values(b"via"):
        raise sent.fault(VIA, "no Via in the request", "Via: 1.1 name-of-the-proxy\\r\\n")
    head = turn.view.response()
    if not head.values(b"via"):
        raise turn.view.line_fault(VIA, head, b"via", "no Via in the response", "Via: 1.1 name-of-the-proxy\\r\\n")
    return "Requests and responses have Via."


def _framing(plan: Plan) -> None:
    for framing in ("chunked", "close"):
        content = plan.text() * 4
        target = plan.target(step(content, "no-store", framing=framing))
        plan.add("framing", _whole(content, framing), ask(target), rules=FRAMING_RULES)
    target = plan.target(step(plan.text(), "no-store"))
    plan.add("framing", _head, ask(target, method="HEAD"), rules=FRAMING_RULES)


def _whole(content: bytes, framing: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        (turn,) = turns
        how = {"chunked": "in chunks", "close": "up to the close of the connection"}[framing]
        turn.expect_content(content, STATUS)
        return f"Content that comes {how} is relayed whole."

    return check


def _head(turns: Sequence[Turn]) -> str:
    (turn,) = turns
    sent = turn.expect_forwarded(FORWARD, "which nothing stored can answer", f"HEAD {turn.target} HTTP/1.1\\r\\n")
    if sent.request.words[0] != b"HEAD":
        method = sent.request.words[0].decode()
        raise sent.fault(FORWARD, f"the method {method} for HEAD", f"HEAD {turn.target} HTTP/1.1\\r\\n")
    turn.view.expect_status(turn.view.response(), (b"200",), STATUS, "HEAD of a target that exists")
    return "HEAD is answered by a head alone."


def _hit(plan: Plan) -> None:
    for cache in (f"max-age={LONG_S}", f"public, max-age={LONG_S}"):
        content = plan.text()
        target = plan.target(step(content, cache, etag=plan.etag()))
        plan.add("hit", _stored(content, cache), ask(target), ask(target, wait_s=2))


def _stored(content: bytes, cache: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        for turn in turns:
            turn.expect_content(content, STATUS)
        turns[1].expect_stored(FRESH, f"while the response with Cache-Control: {cache} is fresh")
        return f"A response with {cache} is stored, and answers the second request."

    return check


def _not_storable(plan: Plan) -> None:
    for claim, cache, rule in (("no-store", "no-store", NO_STORE), ("private", f"private, max-age={LONG_S}", PRIVATE)):
        contents = plan.text(), plan.text()
        target = plan.target(*(step(one, cache, etag=plan.etag()) for one in contents))
        plan.add(claim, _forwarded_again(contents, rule, cache), ask(target), ask(target, wait_s=1))


def _forwarded_again(contents: Sequence[bytes], rule: Rule, cache: str) -> Check:
    """Return a check function: each request must be forwarded to the origin, and get the origin's new content."""

    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(contents[0], STATUS)
        for turn, content in zip(turns[1:], contents[1:], strict=True):
            turn.expect_forwarded(rule, f"after a response with Cache-Control: {cache}", _get(turn))
            turn.expect_content(content, rule)
        return f"A response with {cache} answers one request only."

    return check


def _get(turn: Turn) -> str:
    return f"GET {turn.target} HTTP/1.1\\r\\n to the origin"


def _validation(plan: Plan) -> None:
    life_s = plan.random.randrange(8, 20)
    cache = f"max-age={life_s}"
    content, etag = plan.text(), plan.etag()
    target = plan.target(step(content, cache, etag=etag))
    plan.add("expiry", _expired(content, cache), ask(target), ask(target, wait_s=life_s + 4))
    content, etag = plan.text(), plan.etag()
    target = plan.target(step(content, cache, etag=etag))
    asks = ask(target), ask(target, wait_s=life_s + 4), ask(target, wait_s=1)
    plan.add("validation", _validated(content, cache, etag), *asks)
    contents = plan.text(), plan.text()
    target = plan.target(*(step(one, cache, etag=plan.etag()) for one in contents))
    asks = ask(target), ask(target, wait_s=life_s + 4), ask(target, wait_s=1)
    plan.add("changed", _changed(contents), *asks)


def _expired(content: bytes, cache: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(content, STATUS)
        elapsed_s = (turns[1].time_ns - turns[0].time_ns) / NS
        turns[1].expect_forwarded(EXPIRED, f"{elapsed_s:.0f} s after one with Cache-Control: {cache}", _get(turns[1]))
        turns[1].expect_content(content, EXPIRED)
        return f"A response with {cache} is not used after {elapsed_s:.0f} s without the origin."

    return check


def _validated(content: bytes, cache: str, etag: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(content, STATUS)
        sent = turns[1].expect_forwarded(EXPIRED, f"after one with Cache-Control: {cache}", _get(turns[1]))
        if sent.request.values(b"if-none-match") != [etag.encode()]:
            found = (
                f"{field_text(sent.request, b'if-none-match')} in the request for a stored response with ETag {etag}"
            )
            raise sent.fault(VALIDATION, found, f"If-None-Match: {etag}\\r\\n", b"if-none-match")
        what = f"the request for {turns[1].target}, whose stored response the origin has validated"
        turns[1].expect_content(content, VALIDATION, what)
        turns[2].expect_content(content, FRESHENED)
        turns[2].expect_stored(FRESHENED, "after 304 has made the stored response fresh")
        return f"The stored response is validated by If-None-Match: {etag}, and fresh again after 304."

    return check


def _changed(contents: Sequence[bytes]) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        for turn, content in zip(turns, (contents[0], contents[1], contents[1]), strict=True):
            turn.expect_content(content, CHANGED)
        turns[2].expect_stored(CHANGED, "while the new response is fresh")
        return "A new response of the origin replaces the stored one."

    return check


def _age(plan: Plan) -> None:
    content, wait_s = plan.text(), plan.random.randrange(15, 60)
    target = plan.target(step(content, f"max-age={LONG_S}", etag=plan.etag()))
    plan.add("age", _aged(content), ask(target), ask(target, wait_s=wait_s))


def _aged(content: bytes) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        for turn in turns:
            turn.expect_content(content, STATUS)
        sent = turns[0].expect_forwarded(FORWARD, "which nothing stored can answer", _get(turns[0]))
        head, elapsed_s = turns[1].view.response(), (turns[1].time_ns - sent.answered_ns) / NS
        ages = head.values(b"age")
        right = ages and ages[0].isdigit() and abs(int(ages[0]) - elapsed_s) <= AGE_SLACK_S
        if not right:
            found = f"{field_text(head, b'age')} in a stored response of {elapsed_s:.0f} s"
            raise turns[1].view.line_fault(AGE, head, b"age", found, f"Age: {elapsed_s:.0f}\\r\\n")
        return f"Age is {int(ages[0])} after {elapsed_s:.1f} s."

    return check


def _key(plan: Plan) -> None:
    cache, base = f"max-age={LONG_S}", plan.target(step(plan.text()))
    numbers = plan.random.sample(range(10_000), 2)
    contents = plan.text(), plan.text()
    targets = [f"{base}?page={number}" for number in numbers]
    plan.script |= {target: [step(one, cache)] for target, one in zip(targets, contents, strict=True)}
    plan.add("query", _own_content(contents, KEY, "another query"), *map(ask, targets))
    languages = plan.random.sample(("de", "en", "fr", "it", "pl"), 2)
    steps = {language: step(plan.text(), cache, fields=[["Vary", "Accept-Language"]]) for language in languages}
    target = plan.target({"select": "Accept-Language", "steps": steps})
    contents = bytes.fromhex(steps[languages[0]]["content"]), bytes.fromhex(steps[languages[1]]["content"])
    asks = [ask(target, f"Accept-Language: {language}") for language in languages]
    plan.add("vary", _own_content(contents, VARY, "another Accept-Language"), *asks)
    answer, forms = plan.text(), [f"item={plan.random.getrandbits(64):016x}".encode() for _ in range(2)]
    target = plan.target(step(answer, cache))
    plan.add("methods", _posted(forms), *(ask(target, method="POST", content=form) for form in forms))


def _own_content(contents: Sequence[bytes], rule: Rule, what: str) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(contents[0], STATUS)
        turns[1].expect_forwarded(rule, f"though only the response for {what} is stored", _get(turns[1]))
        turns[1].expect_content(contents[1], rule)
        return f"The response for {what} is not used."

    return check


def _posted(forms: Sequence[bytes]) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        for turn, form in zip(turns, forms, strict=True):
            sent = turn.expect_forwarded(
                METHODS, "though only the origin answers POST", f"POST {turn.target} HTTP/1.1\\r\\n to the origin"
            )
            if sent.request.words[0] != b"POST":
                raise sent.fault(METHODS, f"the method {sent.request.words[0].decode()} for POST", "POST")
            if sent.content != form:
                found = f"{len(sent.content)} of {len(form)} octets of content, or others"
                raise sent.content_fault(CONTENT, found, form.decode())
        return "POST is forwarded with its content each time."

    return check


def _hidden(plan: Plan) -> None:
    content = plan.text()
    target = plan.target(step(b"try again\n", status=503), step(content))
    plan.add("errors", _after_error(content), ask(target), ask(target, wait_s=2))
    life_s = plan.random.randrange(5, 12)
    cache = f"max-age={life_s}, must-revalidate"
    target = plan.target(step(plan.text(), cache, etag=plan.etag()), {"fails": True})
    plan.add("must-revalidate", _failed, ask(target), ask(target, wait_s=life_s + 4))
    contents, cache = (plan.text(), plan.text()), f"no-cache, max-age={LONG_S}"
    target = plan.target(*(step(one, cache, etag=plan.etag()) for one in contents))
    plan.add("no-cache", _forwarded_again(contents, NO_CACHE, cache), ask(target), ask(target, wait_s=1))
    contents = plan.text(), plan.text()
    cache = f"max-age={LONG_S}"
    target = plan.target(step(contents[0], cache), step(b"done\n"), step(contents[1], cache))
    asks = ask(target), ask(target, method="POST", content=b"change=1"), ask(target, wait_s=1)
    plan.add("invalidation", _invalidated(contents), *asks)
    arrived_s, rest_s = plan.random.randrange(100, 200), plan.random.randrange(5, 12)
    contents = plan.text(), plan.text()
    cache = f"max-age={arrived_s + rest_s}"
    target = plan.target(
        step(contents[0], cache, etag=plan.etag(), fields=[["Age", str(arrived_s)]]),
        step(contents[1], cache, etag=plan.etag()),
    )
    plan.add("arrival", _aged_on_arrival(contents, cache, arrived_s), ask(target), ask(target, wait_s=rest_s + 4))


def _after_error(content: bytes) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].view.expect_status(turns[0].view.response(), (b"503",), STATUS, "a request that the origin refuses")
        turns[1].expect_forwarded(ERRORS, "after 503", _get(turns[1]))
        turns[1].expect_content(content, ERRORS)
        return "503 is not stored."

    return check


def _failed(turns: Sequence[Turn]) -> str:
    head = turns[1].view.response()
    what = f"the request for {turns[1].target}, whose stored response is stale, while the origin fails"
    turns[1].view.expect_status(head, (b"504", b"502", b"500", b"503"), MUST_REVALIDATE, what)
    return "A stale response with must-revalidate is not sent while the origin fails."


def _invalidated(contents: Sequence[bytes]) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(contents[0], STATUS)
        turns[2].expect_forwarded(INVALIDATION, "after a POST to its target", _get(turns[2]))
        turns[2].expect_content(contents[1], INVALIDATION)
        return "A POST to a target invalidates its stored response."

    return check


def _aged_on_arrival(contents: Sequence[bytes], cache: str, arrived_s: int) -> Check:
    def check(turns: Sequence[Turn]) -> str:
        turns[0].expect_content(contents[0], STATUS)
        why = f"though its stored response, with Cache-Control: {cache}, came with Age: {arrived_s}"
        turns[1].expect_forwarded(ARRIVAL, why, _get(turns[1]))
        turns[1].expect_content(contents[1], ARRIVAL)
        return "The Age of a response counts."

    return check
