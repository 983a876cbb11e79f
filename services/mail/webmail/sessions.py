"""Who is logged in: a table from the token in a cookie to a session.

    token = sessions.begin(account, "secret", now)      goes into the cookie
    sessions.find(token, now)                           the session, None where it is over
    sessions.password(token, session)                   for AUTH at the submission server

The table holds a digest of the token, and the password sealed with the token itself, so that neither the table without
the cookie nor the cookie without the table gives a password away. The seal is a pad as long as the password: SHAKE256
of a token of 256 random bits that seals once and nothing else.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256, shake_256

from services.mail.accounts import Account
from services.mail.webmail.limits import IDLE_S, SESSION_S, SESSIONS_MAX, SESSIONS_OF_USER_MAX, TOKEN_OCTETS


@dataclass
class Session:
    """One browser of one user; `notice` is what the next page says once."""

    account: Account
    form_token: str
    sealed: bytes
    begun_s: float
    used_s: float
    notice: str = ""


class Sessions:
    """All sessions; `random_octets` makes tokens that nobody can guess."""

    def __init__(self, random_octets: Callable[[int], bytes]) -> None:
        self._random_octets = random_octets
        # In the order of their last use.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def new_token(self) -> str:
        """Return a token."""
        return self._random_octets(TOKEN_OCTETS).hex()

    def begin(self, account: Account, password: str, now: float) -> str:
        """Begin a session and return its token; the user's oldest goes where there are too many."""
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
        """Return a session that goes on, and note that it was used."""
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
        """End a session."""
        self._sessions.pop(_key(token), None)

    @staticmethod
    def password(token: str, session: Session) -> str:
        """Return the password that the session was begun with."""
        return _sealed(token, session.sealed).decode("utf-8", "replace")

    def _drop_old(self, now: float) -> None:
        """Those that have gone unused longest come first; others that are over are found when they are asked for."""
        while self._sessions and _is_over(next(iter(self._sessions.values())), now):
            self._sessions.popitem(last=False)


def _is_over(session: Session, now: float) -> bool:
    return now - session.used_s > IDLE_S or now - session.begun_s > SESSION_S


def _key(token: str) -> bytes:
    # Looked up by its digest, so that the time that takes tells nothing of the tokens that are there.
    return sha256(token.encode("utf-8", "replace")).digest()


def _sealed(token: str, octets: bytes) -> bytes:
    pad = shake_256(b"password" + token.encode("utf-8", "replace")).digest(len(octets))
    return bytes(one ^ other for one, other in zip(octets, pad, strict=True))
