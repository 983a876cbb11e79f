"""Server side of SASL authentication for SMTP, IMAP and POP3: mechanisms PLAIN (RFC 4616) and LOGIN.

    C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
    S: 235 2.7.0 Authentication successful

PLAIN is one response: authorization identity, user and password separated by NUL. LOGIN, which no RFC describes but
every client supports, requests the user and then the password. Left out: an authorization identity that differs from
the user.
"""

import base64
import binascii
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

MECHANISMS = ("PLAIN", "LOGIN")
_LOGIN_PROMPTS = (b"Username:", b"Password:")


class SASLError(Exception):
    """Error for a failed SASL exchange: the client cancelled it or sent a malformed response."""


class CancelledError(SASLError):
    """Error for a SASL exchange that the client cancelled by sending `*` instead of a response."""


class AuthorizationError(SASLError):
    """Error for a request to act as another user: the authorization identity differs from the user name."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password that a client sent in a SASL exchange."""

    user: str
    password: str


# An Exchange yields challenges and receives responses (base64), returns the credentials, or raises SASLError.
Exchange = Generator[bytes, Any, Credentials]


def exchange(mechanism: str, initial_response: bytes | None) -> Exchange:
    """Run a SASL exchange as a generator: yield challenges, receive responses, return the credentials.

    `initial_response` is the one sent with the command, None if there was none. Raises SASLError.
    """
    # RFC 4954 section 4, RFC 4959 section 3: "=" encodes an empty initial response.
    response = b"" if initial_response == b"=" else initial_response
    if mechanism == "PLAIN":
        return _plain(_decode((yield b"") if response is None else response))
    given = [] if response is None else [_text(_decode(response))]
    while len(given) < len(_LOGIN_PROMPTS):
        given.append(_text(_decode((yield base64.b64encode(_LOGIN_PROMPTS[len(given)])))))
    return Credentials(*given)


def _decode(response: bytes) -> bytes:
    if response == b"*":
        raise CancelledError("authentication cancelled")
    try:
        return base64.b64decode(response, validate=True)
    except binascii.Error:
        raise SASLError("the response is not base64") from None


def _plain(response: bytes) -> Credentials:
    parts = response.split(b"\0")
    if len(parts) != 3 or not parts[1]:
        raise SASLError("the response does not consist of authorization identity, user and password")
    identity, user, password = map(_text, parts)
    if identity not in ("", user):
        raise AuthorizationError("the authorization identity differs from the user")
    return Credentials(user, password)


def _text(octets: bytes) -> str:
    # RFC 4616 section 2: authorization identity, NUL, user, NUL, password.
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SASLError("the response is not UTF-8") from None
