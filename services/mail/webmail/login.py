"""Login and logout, with a rate limit on failed logins.

The form token of the login page is also set as a cookie (double-submit), against login CSRF; the session has a token of
its own, created after the password check.
"""

from collections import OrderedDict, deque

from services.http.cookies import drop_cookie, set_cookie
from services.http.messages import Response
from services.mail.webmail.csrf import check_token
from services.mail.webmail.limits import (
    FAILURES_OF_PEER_MAX,
    FAILURES_OF_USER_MAX,
    FAILURES_S,
    GUESSERS_MAX,
    NAME_CHARACTERS,
    PASSWORD_CHARACTERS,
)
from services.mail.webmail.pages import Pages, see_other
from services.mail.webmail.requests import CheckPassword, Steps, UserVisit, Visit
from services.mail.webmail.sessions import Sessions


class Attempts:
    """Failed attempts per key in a sliding window; beyond GUESSERS_MAX keys the least recent is evicted.

    An attempt is counted before its outcome is known, so that concurrent attempts are limited like sequential ones;
    `take_back` removes it on success.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Return the seconds until `key` may try again; 0 if it may now."""
        tries = self._tries.get(key)
        if tries is None:
            return 0.0
        while tries and now - tries[0] >= self._window_s:
            tries.popleft()
        return self._window_s - (now - tries[0]) if len(tries) >= self._most else 0.0

    def count(self, key: str, now: float) -> None:
        """Record an attempt."""
        tries = self._tries.setdefault(key, deque(maxlen=self._most))
        tries.append(now)
        self._tries.move_to_end(key)
        if len(self._tries) > GUESSERS_MAX:
            self._tries.popitem(last=False)

    def take_back(self, key: str) -> None:
        """Remove the last attempt, which succeeded."""
        tries = self._tries.get(key)
        if tries:
            tries.pop()


SESSION_COOKIE = "session"
FORM_COOKIE = "login"
_WRONG = "The name or the password is wrong."


class LoggingIn:
    """Login and logout pages."""

    def __init__(self, sessions: Sessions, pages: Pages, secure: bool) -> None:
        self._sessions = sessions
        self._pages = pages
        self._secure = secure
        self._of_peers = Attempts(FAILURES_OF_PEER_MAX, FAILURES_S)
        self._of_users = Attempts(FAILURES_OF_USER_MAX, FAILURES_S)

    def get_form(self, visit: Visit, _: Pages) -> Response:
        """Render the login form."""
        return self._form(visit, "", "", 200)

    def _form(self, visit: Visit, user: str, error: str, status: int) -> Response:
        token = visit.cookies.get(FORM_COOKIE) or self._sessions.new_token()
        try:
            cookie = set_cookie(FORM_COOKIE, token, self._secure)
        except ValueError:
            token = self._sessions.new_token()
            cookie = set_cookie(FORM_COOKIE, token, self._secure)
        values = {"form_token": token, "user": user, "error": error}
        return self._pages.open_page("login.html", values, cookie, status=status)

    def post_form(self, visit: Visit, _: Pages) -> Steps:
        """Check the password and start a session."""
        check_token(visit.form.get("form_token"), visit.cookies.get(FORM_COOKIE, ""))
        user, password = visit.form.get("user").strip(), visit.form.get("password")
        wait_s = self._wait_s(visit, user)
        if wait_s > 0:
            said = f"Too many log-ins have failed: try again in {int(wait_s) + 1} seconds."
            return self._form(visit, user, said, 429)
        if len(user) > NAME_CHARACTERS or len(password) > PASSWORD_CHARACTERS:
            return self._form(visit, "", _WRONG, 403)
        keys = ((self._of_peers, visit.peer), (self._of_users, user.lower()))
        for attempts, key in keys:
            attempts.count(key, visit.now)
        account = yield CheckPassword(user, password)
        if account is None:
            return self._form(visit, user, _WRONG, 403)
        for attempts, key in keys:
            attempts.take_back(key)
        token = self._sessions.begin(account, password, visit.now)
        return see_other("/", set_cookie(SESSION_COOKIE, token, self._secure), drop_cookie(FORM_COOKIE, self._secure))

    def _wait_s(self, visit: Visit, user: str) -> float:
        return max(self._of_peers.wait_s(visit.peer, visit.now), self._of_users.wait_s(user.lower(), visit.now))

    def post_out(self, visit: UserVisit, _: Pages) -> Response:
        """End the session."""
        self._sessions.end(visit.token)
        return see_other("/login", drop_cookie(SESSION_COOKIE, self._secure))
