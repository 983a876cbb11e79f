"""Gateway field of IPSECKEY and AMTRELAY rdata: no gateway, an IPv4 address, an IPv6 address or a domain name.

The gateway type field of the same record determines the format. RFC 4025 sections 2.3 to 2.5, RFC 8777 section 4.2.
"""

from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.errors import TextError, WireError
from lab7.services.dns.codec.fields import IPV4, IPV6
from lab7.services.dns.codec.lexer import Tokens
from lab7.services.dns.codec.name import Name, Reader, Writer

Gateway = IPv4Address | IPv6Address | Name | None


def read_gateway(reader: Reader, gateway_type: int) -> Gateway:
    """Decode the gateway field of IPSECKEY or AMTRELAY, of gateway type 0 to 3; raises WireError."""
    if gateway_type == 0:
        return None
    if gateway_type == 1:
        return IPV4.read(reader)
    if gateway_type == 2:
        return IPV6.read(reader)
    if gateway_type == 3:
        return reader.name(compressed=False)
    raise WireError(f"unknown gateway type {gateway_type}")


def gateway_from_tokens(tokens: Tokens, gateway_type: int, label: str) -> Gateway:
    """Parse the gateway field of IPSECKEY or AMTRELAY, of gateway type 0 to 3; raises TextError.

    `label` is the name of the field in the message of the error.
    """
    if gateway_type == 0:
        text = tokens.token(label).text
        if text != ".":
            raise TextError(f"{label} is {text!r}, expected . for type 0 (no gateway)")
        return None
    if gateway_type == 1:
        return IPV4.from_tokens(tokens, label)
    if gateway_type == 2:
        return IPV6.from_tokens(tokens, label)
    if gateway_type == 3:
        return tokens.name(label)
    raise TextError(f"{label} has the unknown type {gateway_type}, expected 0 to 3")


def write_gateway(writer: Writer, gateway: Gateway) -> None:
    """Append the gateway field of IPSECKEY or AMTRELAY to the octets in `writer`; a domain name is not compressed."""
    if isinstance(gateway, Name):
        writer.write(gateway.to_wire())
    elif gateway is not None:
        writer.write(gateway.packed)


def gateway_to_text(gateway: Gateway) -> str:
    """Return the gateway field of IPSECKEY or AMTRELAY in presentation format; a dot stands for no gateway."""
    return "." if gateway is None else str(gateway)
