"""Table of webmail's login sessions, looked up by the random token in a cookie.

    token = sessions.begin(account, "secret", now)      to be set as a cookie
    sessions.find(token, now)                           the session, None if expired
    sessions.password(token, session)                   for AUTH at the submission server

The table stores a digest of the token, and the password encrypted with the token, so that neither the table nor the
cookie alone discloses the password. The cipher is a one-time pad of the password's length: SHAKE256 of a token of 256
random bits that is used for one session only.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256, shake_256

from lab7.services.bounded_dict import BoundedDict
from lab7.services.mail.accounts import Account
from lab7.services.mail.webmail.limits import (
    IDLE_S,
    PICTURE_MESSAGES_MAX,
    SESSION_S,
    SESSIONS_MAX,
    SESSIONS_OF_USER_MAX,
    TOKEN_OCTETS,
)


def _no_pictures() -> BoundedDict[tuple[str, int, int], bool]:
    return BoundedDict(PICTURE_MESSAGES_MAX)


@dataclass
class Session:
    """A login session of a user in a browser.

    `notice` and `warning` are texts displayed once, on the next page; `sending`: ids of compositions that are being
    sent; `pictures`: messages whose remote pictures the user has permitted.
    """

    account: Account
    form_token: str
    sealed: bytes
    begun_s: float
    used_s: float
    notice: str = ""
    warning: str = ""
    sending: set[str] = field(default_factory=set)
    pictures: BoundedDict[tuple[str, int, int], bool] = field(default_factory=_no_pictures)


class Sessions:
    """Table of all login sessions; `random_octets` returns cryptographically secure random octets."""

    def __init__(self, random_octets: Callable[[int], bytes]) -> None:
        self._random_octets = random_octets
        # Sessions, keyed by the digest of the token, from least to most recently used.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def new_token(self) -> str:
        """Return a random token of TOKEN_OCTETS in hexadecimal."""
        return self._random_octets(TOKEN_OCTETS).hex()

    def begin(self, account: Account, password: str, now: float) -> str:
        """Start a session and return its token.

        Above SESSIONS_OF_USER_MAX, the user's least recently used session ends.
        """
        self._drop_old(now)
        own = [key for key, session in self._sessions.items() if session.account == account]
        for key in own[: max(len(own) - SESSIONS_OF_USER_MAX + 1, 0)]:
            del self._sessions[key]
        if len(self._sessions) >= SESSIONS_MAX:
            self._sessions.popitem(last=False)
        token = self.new_token()
        sealed = _sealed(token, password.encode("utf-8"))
        self._sessions[_key(token)] = Session(account, self.new_token(), sealed, now, now)
        return token

    def find(self, token: str, now: float) -> Session | None:
        """Return the session of a token, and mark it as used; None if unknown or expired."""
        key = _key(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        if _is_over(session, now):
            del self._sessions[key]
            return None
        session.used_s = now
        self._sessions.move_to_end(key)
        return session

    def end(self, token: str) -> None:
        """End the login session that has this token."""
        self._sessions.pop(_key(token), None)

    @staticmethod
    def password(token: str, session: Session) -> str:
        """Return the password of the session's user, which is stored encrypted with the session's token."""
        return _sealed(token, session.sealed).decode("utf-8", "replace")

    def _drop_old(self, now: float) -> None:
        """Remove the expired sessions at the front of the LRU order; find() removes others when they are looked up."""
        while self._sessions and _is_over(next(iter(self._sessions.values())), now):
            self._sessions.popitem(last=False)


def _is_over(session: Session, now: float) -> bool:
    return now - session.used_s > IDLE_S or now - session.begun_s > SESSION_S


def _key(token: str) -> bytes:
    # Look sessions up by digest, so that the time of a lookup discloses nothing about valid tokens.
    return sha256(token.encode("utf-8", "replace")).digest()


def _sealed(token: str, octets: bytes) -> bytes:
    pad = shake_256(b"password" + token.encode("utf-8", "replace")).digest(len(octets))
    return bytes(octet ^ pad_octet for octet, pad_octet in zip(octets, pad, strict=True))
