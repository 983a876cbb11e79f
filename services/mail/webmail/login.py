"""Login and logout pages of webmail, with a rate limit on failed logins.

Against login CSRF, the form token of the login page is also set as a cookie (double submit). The session has another
token, created after the password check.
"""

from collections import OrderedDict, deque

from lab7.services.bounded_dict import BoundedDict
from lab7.services.http.cookies import drop_cookie, set_cookie
from lab7.services.http.messages import Response
from lab7.services.mail.webmail.csrf import check_token
from lab7.services.mail.webmail.limits import (
    FAILURES_OF_PEER_MAX,
    FAILURES_OF_USER_MAX,
    FAILURES_S,
    NAME_CHARACTERS,
    PASSWORD_CHARACTERS,
    REFUSED_LOGINS_MAX,
    THROTTLE_KEYS_MAX,
)
from lab7.services.mail.webmail.pages import Pages, see_other
from lab7.services.mail.webmail.requests import CheckPassword, PageRequest, Steps, UserPageRequest
from lab7.services.mail.webmail.sessions import Sessions


class LoginThrottle:
    """Rate limit on failed logins per key (address or user) in a sliding window; LRU eviction above THROTTLE_KEYS_MAX.

    An attempt is counted before its outcome is known: concurrent attempts are limited like sequential ones. If it
    succeeds, forget_last() removes it from the count.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Return the seconds until `key` may try again, 0 if an attempt is permitted now."""
        tries = self._tries.get(key)
        if tries is None:
            return 0.0
        while tries and now - tries[0] >= self._window_s:
            tries.popleft()
        return self._window_s - (now - tries[0]) if len(tries) >= self._most else 0.0

    def count(self, key: str, now: float) -> None:
        """Record a login attempt of `key`, which counts as failed until forget_last() is called."""
        tries = self._tries.setdefault(key, deque(maxlen=self._most))
        tries.append(now)
        self._tries.move_to_end(key)
        if len(self._tries) > THROTTLE_KEYS_MAX:
            self._tries.popitem(last=False)

    def forget_last(self, key: str) -> None:
        """Remove the last recorded attempt, which succeeded."""
        tries = self._tries.get(key)
        if tries:
            tries.pop()


SESSION_COOKIE = "session"
FORM_COOKIE = "login"
_WRONG = "Wrong user name or password."


class LoginPages:
    """Handlers of the login and logout pages."""

    def __init__(self, sessions: Sessions, pages: Pages, secure: bool) -> None:
        self._sessions = sessions
        self._pages = pages
        self._secure = secure
        self._peer_throttle = LoginThrottle(FAILURES_OF_PEER_MAX, FAILURES_S)
        self._user_throttle = LoginThrottle(FAILURES_OF_USER_MAX, FAILURES_S)
        # User name and error of the last refused login, keyed by form token, for the page after the redirect.
        self._refused: BoundedDict[str, tuple[str, str]] = BoundedDict(REFUSED_LOGINS_MAX)

    def get_form(self, request: PageRequest, _: Pages) -> Response:
        """Render the login form, with the error of a failed login; set the cookie with the form token."""
        token = request.cookies.get(FORM_COOKIE) or self._sessions.new_token()
        try:
            cookie = set_cookie(FORM_COOKIE, token, self._secure)
        except ValueError:
            token = self._sessions.new_token()
            cookie = set_cookie(FORM_COOKIE, token, self._secure)
        user, error = self._refused.get(token) or ("", "")
        self._refused.drop(token)
        values = {"form_token": token, "user": user, "error": error}
        return self._pages.public_page("login.html", values, cookie)

    def _refuse(self, request: PageRequest, user: str, error: str) -> Response:
        """Return a redirect to the login form, which shows an error.

        After a redirect, the browser's Back and Reload do not send the password again.
        """
        self._refused.put(request.cookies.get(FORM_COOKIE, ""), (user[:NAME_CHARACTERS], error))
        return see_other("/login")

    def post_form(self, request: PageRequest, _: Pages) -> Steps:
        """Check the password; start a session and redirect with the session cookie, or redirect to the form."""
        check_token(request.form.get("form_token"), request.cookies.get(FORM_COOKIE, ""))
        user, password = request.form.get("user").strip(), request.form.get("password")
        wait_s = self._throttled_s(request, user)
        if wait_s > 0:
            error = f"Too many failed logins: try again in {int(wait_s) + 1} seconds."
            return self._refuse(request, user, error)
        if len(user) > NAME_CHARACTERS or len(password) > PASSWORD_CHARACTERS:
            return self._refuse(request, "", _WRONG)
        keys = ((self._peer_throttle, request.peer), (self._user_throttle, user.lower()))
        for attempts, key in keys:
            attempts.count(key, request.now)
        account = yield CheckPassword(user, password)
        if account is None:
            return self._refuse(request, user, _WRONG)
        for attempts, key in keys:
            attempts.forget_last(key)
        token = self._sessions.begin(account, password, request.now)
        return see_other("/", set_cookie(SESSION_COOKIE, token, self._secure), drop_cookie(FORM_COOKIE, self._secure))

    def _throttled_s(self, request: PageRequest, user: str) -> float:
        return max(
            self._peer_throttle.wait_s(request.peer, request.now), self._user_throttle.wait_s(user.lower(), request.now)
        )

    def post_out(self, request: UserPageRequest, _: Pages) -> Response:
        """End the session; return a redirect to the login page."""
        self._sessions.end(request.token)
        return see_other("/login", drop_cookie(SESSION_COOKIE, self._secure))
