"""The client-subnet option in queries and responses, as those see it who answer by the client's network.

    query   FAMILY 1, SOURCE 24, SCOPE 0, ADDRESS 10.8.1        "the client is in 10.8.1.0/24"
    answer  FAMILY 1, SOURCE 24, SCOPE 16, ADDRESS 10.8.1       "this is for all of 10.8.0.0/16"

RFC 7871 sections 6 and 7.2.1: an option of a wrong form earns FORMERR, the answer repeats family, source and address
and adds its scope, and who sent no option gets none. SOURCE 0 says that the client's network is not to be used; its
family does not matter then, and 0 is taken as well, which dig sends and earlier drafts of the RFC asked for. Its answer
has no address either, as section 7.2.1 has it; section 7.3 would have the server's choice there, which section 6 has
no form for. Left out: section 10's advice to servers on the public Internet to disregard private networks, since all
networks of a lab are private.
"""

from dataclasses import dataclass, replace

from services.dns.address_space import Address, Network, host_address, network_of
from services.dns.codec.edns import EDNS, OPTION_CLIENT_SUBNET, UDP_SIZE_DEFAULT, ClientSubnet, Option
from services.dns.codec.errors import WireError
from services.dns.codec.message import Message
from services.dns.codec.wire import Reader

# RFC 7871 section 11.1: as much of an address as a resolver should tell.
PREFIX4_RECOMMENDED = 24
PREFIX6_RECOMMENDED = 56
_SCOPE_PLACE = 3


@dataclass(frozen=True, slots=True)
class Said:
    """The option of a query; `network` is None where the client asks for no answer of its own (SOURCE 0)."""

    option: Option
    network: Network | None

    def echoed(self, scope: int) -> Option:
        """RFC 7871 section 7.2.1: return the option of the answer, equal but for the scope."""
        octets = bytearray(self.option.data)
        octets[_SCOPE_PLACE] = scope
        return Option(self.option.code, bytes(octets))


def said_in(query: Message) -> Said | None:
    """Return what a query says of its client's network, None where it says nothing.

    Raises WireError where RFC 7871 section 7.2.1 asks for FORMERR: a wrong form, a scope, an option twice.
    """
    options = [] if query.edns is None else [one for one in query.edns.options if one.code == OPTION_CLIENT_SUBNET]
    if not options:
        return None
    if len(options) > 1:
        raise WireError("there are two client subnets")
    option = options[0]
    reader = Reader(option.data)
    family, source, scope = reader.u16(), reader.u8(), reader.u8()
    # Section 6: in queries the scope MUST be 0.
    if scope:
        raise WireError("a client subnet in a query has a scope")
    if family == 0 and source == 0 and not reader.remaining:
        return Said(option, None)
    network = ClientSubnet.from_option(option).network
    return Said(option, network if network.prefixlen else None)


def subnet_in(message: Message) -> ClientSubnet | None:
    """Return the option of a response, None where there is none; raises WireError where it has no form, or two."""
    options = [] if message.edns is None else [one for one in message.edns.options if one.code == OPTION_CLIENT_SUBNET]
    if len(options) > 1:
        raise WireError("there are two client subnets")
    return ClientSubnet.from_option(options[0]) if options else None


def without_subnet(message: Message) -> Message:
    """Return a message without the option."""
    if message.edns is None or all(one.code != OPTION_CLIENT_SUBNET for one in message.edns.options):
        return message
    options = tuple(one for one in message.edns.options if one.code != OPTION_CLIENT_SUBNET)
    return replace(message, edns=replace(message.edns, options=options))


def with_subnet(query: Message, reply: Message, said: Said | None, scope: int) -> Message:
    """Return a reply with the option that the query earns: none where it had none."""
    if said is None or query.edns is None:
        return reply
    # RFC 3225 section 3: DO is copied.
    edns = EDNS(UDP_SIZE_DEFAULT, do=query.edns.do, options=(said.echoed(scope),))
    return replace(reply, edns=edns)


@dataclass(frozen=True, slots=True)
class SubnetPolicy:
    """How many bits of its clients' addresses a resolver tells, and keeps answers apart by."""

    prefix4: int = PREFIX4_RECOMMENDED
    prefix6: int = PREFIX6_RECOMMENDED

    def longest(self, network: Network) -> int:
        """Return the bound of a network's family."""
        return self.prefix4 if network.version == 4 else self.prefix6

    def subnet_for(self, host: str, said: Said | None) -> Network:
        """RFC 7871 sections 7.1.1 and 7.1.2: return the network to ask for; one of no bits tells nothing.

        A client's own option decides, cut to the bound; without one its address does.
        """
        if said is not None and said.network is None:
            # The option's family is then that of the transport, and servers are asked over IPv4.
            return network_of(host_address("0.0.0.0"), 0)
        if said is not None and said.network is not None:
            return self._cut(said.network.network_address, said.network.prefixlen)
        address = host_address(host)
        return self._cut(address, address.max_prefixlen)

    def _cut(self, address: Address, prefix: int) -> Network:
        longest = self.prefix4 if address.version == 4 else self.prefix6
        return network_of(address, min(prefix, longest))
