"""All that passes with one server about one question: over UDP or TCP, with EDNS or without, in random or plain case.

RFC 7766 section 5 (TC leads to TCP), RFC 6891 section 6.2.2 (a server that does not know EDNS is asked without). Where
an answer came in other case than the question's, that question goes over TCP, which nobody off the path can forge; if
its answer has the case changed as well, it is the server's way, and it is asked in plain case from then on. A server
that refuses a query with a client subnet is asked without, which tells whether it was for that (RFC 7871 section 7.3).
"""

from collections.abc import Generator
from typing import TypeVar

from services.dns.address_space import EVERYTHING, Network
from services.dns.codec.client_subnet import subnet_in
from services.dns.codec.codes import Rcode
from services.dns.codec.message import Message
from services.dns.codec.records import Question
from services.dns.recursion.budget import Work
from services.dns.recursion.context import Knowledge
from services.dns.recursion.delegation import Delegation, Service
from services.dns.recursion.infra_cache import Server
from services.dns.recursion.query import Ask, Outcome, Replied, TimedOut, random_case

T = TypeVar("T")
Steps = Generator[Ask, Outcome, T]

# What a server answers that stumbles over OPT (RFC 6891 section 7; some say NOTIMP).
_EDNS_STUMBLES = (Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS)
# UDP; TCP; and each once more without EDNS or in plain case; without a client subnet before that.
ATTEMPTS_MAX = 4
ATTEMPTS_WITH_SUBNET_MAX = 6
# A server that has to ask others first, and may have to ask twice; stubs give theirs 5 s.
RECURSION_TIMEOUT_MIN_S = 2.0


class Exchange:
    """One server, one question."""

    def __init__(
        self,
        known: Knowledge,
        work: Work,
        address: str,
        question: Question,
        asked: Delegation,
        subnet: Network | None = None,
    ) -> None:
        self._known = known
        self._work = work
        self._address = address
        self._question = question
        self._asked = asked
        server = self._server()
        self._tcp = False
        self._edns = server.edns
        self._subnet = subnet if server.takes_subnet else None
        self._attempts_max = ATTEMPTS_MAX if self._subnet is None else ATTEMPTS_WITH_SUBNET_MAX
        self._cased = known.randomise_case and server.keeps_case

    def run(self) -> Steps[Message | None]:
        """Return the server's answer, None when there is none to be had."""
        mangled = False
        for _ in range(self._attempts_max):
            ask = self._ask()
            outcome = yield self._work.spend(ask)
            if isinstance(outcome, Replied):
                message = self._taken(ask, outcome, mangled)
                if message is not None:
                    return message
            elif isinstance(outcome, TimedOut) and outcome.case_mangled:
                mangled = self._tcp = True
            elif mangled and self._tcp:
                # No TCP there: in plain case, as if nobody had ever thought of the letters.
                self._tcp = self._cased = False
            else:
                self._known.servers.timed_out(self._address, self._work.now)
                return None
        return None

    def _server(self) -> Server:
        return self._known.servers.get(self._address, self._work.now)

    def _ask(self) -> Ask:
        name = self._question.name
        recursion_desired = self._asked.service is not Service.ITERATIVE
        timeout_s = max(self._server().timeout_s(), RECURSION_TIMEOUT_MIN_S if recursion_desired else 0.0)
        return Ask(
            address=self._address,
            question=self._question,
            spelling=random_case(name, self._known.random) if self._cased else name,
            zone=self._asked.zone,
            # A connection has its handshake first.
            timeout_s=2 * timeout_s if self._tcp else timeout_s,
            tcp=self._tcp,
            edns=self._edns,
            recursion_desired=recursion_desired,
            exact_case=self._cased and not self._tcp,
            subnet=self._subnet if self._edns else None,
        )

    def _taken(self, ask: Ask, replied: Replied, mangled: bool) -> Message | None:
        """Return the message if it is the last word, None after a change in how to ask."""
        message, server = replied.message, self._server()
        if not ask.tcp:
            self._known.servers.answered(self._address, replied.rtt_s, self._work.now)
        if mangled and (replied.case_mangled or not self._cased):
            server.keeps_case = False
        if message.tc and not ask.tcp:
            self._tcp = True
            return None
        if ask.subnet is not None and message.rcode in (Rcode.REFUSED, *_EDNS_STUMBLES):
            self._subnet = self._less_told(ask.subnet)
            return None
        if ask.subnet is not None and message.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
            server.takes_subnet = subnet_in(message) is not None
        if ask.edns and message.rcode in _EDNS_STUMBLES:
            self._edns = False
            return None
        if not ask.edns and message.rcode not in _EDNS_STUMBLES:
            server.edns = False
        return message

    def _less_told(self, told: Network) -> Network | None:
        """RFC 7871 section 7.1.3: a forwarder asks with no address then; section 7.3: others ask without the option."""
        forwards = self._asked.service is Service.FORWARDER
        return EVERYTHING[told.version] if forwards and told.prefixlen else None
