"""May this user go on? The answer to each step of a login (RFC 959 section 4.1.1)."""

import hmac

from services.ftp.accounts import Account, is_password
from services.ftp.actions import Admitted, Authenticate, Credential, Rejected


def admit(account: Account | None, ask: Authenticate) -> Admitted | Rejected:
    """Return the answer; `account` None is a user that there is not, who is asked for a password like all others."""
    if ask.shows is Credential.NAME:
        if account is None or account.password is not None or account.anonymous:
            return Admitted(Credential.PASSWORD)
        return _after_password(account)
    if account is None or ask.shows is Credential.PASSWORD:
        return _after_password(account) if account is not None and is_password(account, ask.value) else _reject(account)
    given, right = ask.value.encode("utf-8", "surrogateescape"), (account.account or "").encode("utf-8")
    return Admitted() if hmac.compare_digest(given, right) else Rejected()


def _reject(account: Account | None) -> Rejected:
    if account is None:
        # As long as a hash takes.
        is_password(None, "")
    return Rejected()


def _after_password(account: Account) -> Admitted:
    if account.account is None:
        return Admitted()
    if account.account_for == "login":
        return Admitted(Credential.ACCOUNT)
    return Admitted(account_to_store=True)
