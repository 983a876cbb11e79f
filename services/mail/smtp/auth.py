"""SASL exchanges of the AUTH command on the server's side: PLAIN (RFC 4616) and LOGIN (RFC 4954).

    C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
    S: 235 2.7.0 Authentication successful

PLAIN is one response: authorization identity, user and password separated by NUL. LOGIN, which no RFC describes but
every client supports, requests the user and then the password. Left out: an authorization identity that differs from
the user.
"""

import base64
import binascii
from dataclasses import dataclass

MECHANISMS = ("PLAIN", "LOGIN")
_LOGIN_ASKS = (b"Username:", b"Password:")


class AuthError(Exception):
    """An invalid response of the client; `code` and `status` are for the reply (RFC 4954 section 6)."""

    def __init__(self, text: str, code: int = 501, status: str = "5.5.2") -> None:
        super().__init__(text)
        self.code, self.status = code, status


@dataclass(frozen=True, slots=True)
class Credentials:
    """The user and password that a client sent."""

    user: str
    password: str


class AuthExchange:
    """One exchange of a mechanism in MECHANISMS."""

    def __init__(self, mechanism: str) -> None:
        self._is_plain = mechanism == "PLAIN"
        self._given: list[bytes] = []

    def begin(self, initial_response: bytes | None) -> bytes | Credentials:
        """Handle the initial response, if there is one; returns a challenge in base64, or credentials."""
        if initial_response is None:
            return self._challenge()
        # RFC 4954 section 4: "=" encodes an empty response.
        return self.respond(b"" if initial_response == b"=" else initial_response)

    def respond(self, line: bytes) -> bytes | Credentials:
        """Decode one response; returns a challenge in base64, or credentials; raises AuthError."""
        try:
            response = base64.b64decode(line, validate=True)
        except binascii.Error:
            raise AuthError("the response is no base64") from None
        if self._is_plain:
            return _plain(response)
        self._given.append(response)
        if len(self._given) < len(_LOGIN_ASKS):
            return self._challenge()
        return Credentials(_text(self._given[0]), _text(self._given[1]))

    def _challenge(self) -> bytes:
        return b"" if self._is_plain else base64.b64encode(_LOGIN_ASKS[len(self._given)])


def _plain(response: bytes) -> Credentials:
    parts = response.split(b"\0")
    if len(parts) != 3 or not parts[1]:
        raise AuthError("the response is not of three parts")
    identity, user, password = map(_text, parts)
    if identity not in ("", user):
        raise AuthError("nobody acts as another here", 535, "5.7.8")
    return Credentials(user, password)


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise AuthError("the response is not UTF-8") from None
