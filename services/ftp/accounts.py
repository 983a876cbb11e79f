"""FTP accounts from a TOML file or the command line, and the login steps USER, PASS and ACCT (RFC 959 section 4.1.1).

    [users.ann]
    password = "scrypt:16384:8:1:SALT:HASH"     # from python -m lab7.services.ftp.accounts, password on stdin
    home = "ann"                                # relative to --root; without --root, to the directory of this file
    quota = 10_000_000                          # octets; default: no limit
    writable = true                             # the default
    account = "billing"                         # argument that ACCT must have; default: no ACCT is required
    account_for = "login"                       # ACCT is required to log in (reply 332; the default),
                                                # or, with "storing", only to store files (reply 532)

`password = "plain:secret"` is accepted as well, for labs: FTP sends it in the clear anyway. For a user without the key
`password`, USER alone logs in. `anonymous` and `ftp` are the names of the anonymous user (RFC 1635), if the server has
one: any password is accepted, and files are read-only.
"""

import hmac
import os
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.ftp.server_pi.actions import Admitted, Authenticate, Credential, Rejected
from lab7.services.passwords import SALT_OCTETS, ScryptHash

ANONYMOUS_NAMES = frozenset(("anonymous", "ftp"))
_KEYS = {"password", "home", "quota", "writable", "account", "account_for"}


@dataclass(frozen=True, slots=True)
class Account:
    """User account: password, home directory, quota and write permission.

    `password` is a hash or plain text, None if none is required; `quota_bytes` None means no limit.
    """

    name: str
    home: Path
    password: str | None = None
    writable: bool = True
    quota_bytes: int | None = None
    account: str | None = None
    account_for: str = "login"
    anonymous: bool = False


class Accounts:
    """The user accounts of a server, keyed by user name."""

    def __init__(self, accounts: Iterable[Account], anonymous: Account | None = None) -> None:
        self._by_name = {account.name: account for account in accounts}
        self._anonymous = anonymous

    def __iter__(self) -> Iterator[Account]:
        yield from self._by_name.values()
        if self._anonymous is not None:
            yield self._anonymous

    def find(self, name: str) -> Account | None:
        """Return the Account with this user name; None if the name is unknown."""
        if name.lower() in ANONYMOUS_NAMES and self._anonymous is not None:
            return self._anonymous
        return self._by_name.get(name)


def hash_password(password: str) -> str:
    """Return the scrypt hash of a password in the format of the accounts file."""
    stored = ScryptHash.create(_octets(password), os.urandom(SALT_OCTETS))
    return f"scrypt:{stored.n}:{stored.r}:{stored.p}:{stored.salt.hex()}:{stored.digest.hex()}"


def check_password(account: Account | None, password: str) -> bool:
    """Return whether a password is valid for an account.

    For an unknown user (`account` None), compute a dummy hash, which takes the same time.
    """
    if account is None:
        ScryptHash.create(_octets(password), bytes(SALT_OCTETS))
        return False
    if account.anonymous or account.password is None:
        return True
    kind, _, rest = account.password.partition(":")
    if kind == "plain":
        return hmac.compare_digest(rest.encode("utf-8"), _octets(password))
    n, r, p, salt, digest = rest.split(":")
    return ScryptHash(int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest)).matches(_octets(password))


def load_accounts(file: Path, base: Path) -> list[Account]:
    """Return the user accounts in a TOML file, with home directories relative to `base`; raises ServiceError."""
    try:
        users = tomllib.loads(file.read_text(encoding="utf-8"))["users"]
        return [_account(name, values, base) for name, values in users.items()]
    except OSError as error:
        raise ServiceError(
            f"cannot read the users file {file} ({error.strerror}): name another with --users"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(
            f"{file} is not a valid users file ({error}): write one table [users.NAME] for each user"
        ) from error


def parse_account(text: str, base: Path) -> Account:
    """Parse an account `NAME:PASSWORD[:HOME]` of the command line; raises ValueError."""
    name, separator, rest = text.partition(":")
    password, _, home = rest.partition(":")
    if not name or not separator:
        raise ValueError(f"{text!r} does not have the form NAME:PASSWORD[:HOME]")
    return Account(name, base / home, f"plain:{password}")


def _account(name: str, values: Mapping[str, object], base: Path) -> Account:
    if unknown := set(values) - _KEYS:
        raise ValueError(f"{name} has unknown keys: {', '.join(sorted(unknown))}")
    password, quota = values.get("password"), values.get("quota")
    account, account_for = values.get("account"), values.get("account_for", "login")
    if quota is not None and (not isinstance(quota, int) or quota < 0):
        raise ValueError(f"invalid quota of {name}: expected a number of octets, 0 or more")
    if account_for not in ("login", "storing"):
        raise ValueError(f'invalid account_for of {name}: expected "login" or "storing"')
    if password is not None:
        _check_stored(name, str(password))
    return Account(
        name,
        base / str(values.get("home", ".")),
        None if password is None else str(password),
        values.get("writable", True) is True,
        quota,
        None if account is None else str(account),
        str(account_for),
    )


def _check_stored(name: str, stored: str) -> None:
    kind, _, rest = stored.partition(":")
    parts = rest.split(":")
    is_scrypt = kind == "scrypt" and len(parts) == 5 and all(part.isdigit() for part in parts[:3])
    if not (kind == "plain" or is_scrypt):
        raise ValueError(
            f"invalid password of {name}: expected plain:PASSWORD or a hash in the form scrypt:N:R:P:SALT:HASH"
        )
    if is_scrypt:
        bytes.fromhex(parts[3] + parts[4])


def _octets(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")


def main() -> int:
    """Print the hash of a password, read from standard input, in the format of the accounts file."""
    print(hash_password(sys.stdin.readline().rstrip("\n")))
    return 0


# Functions that decide each login step (RFC 959 section 4.1.1).


def check_credential(account: Account | None, request: Authenticate) -> Admitted | Rejected:
    """Check the argument of USER, PASS or ACCT; return Admitted (with the next login step, if any) or Rejected.

    For an unknown user (`account` None), USER is answered with a request for the password, as for any other user, and
    PASS is rejected. The replies therefore do not reveal which names exist.
    """
    if request.credential is Credential.NAME:
        if account is None or account.password is not None or account.anonymous:
            return Admitted(Credential.PASSWORD)
        return _after_password(account)
    if account is None or request.credential is Credential.PASSWORD:
        return (
            _after_password(account)
            if account is not None and check_password(account, request.value)
            else _reject(account)
        )
    given, right = request.value.encode("utf-8", "surrogateescape"), (account.account or "").encode("utf-8")
    return Admitted() if hmac.compare_digest(given, right) else Rejected()


def _reject(account: Account | None) -> Rejected:
    if account is None:
        # A password is hashed for an unknown user, too: a faster reply would show that the name is unknown.
        check_password(None, "")
    return Rejected()


def _after_password(account: Account) -> Admitted:
    if account.account is None:
        return Admitted()
    if account.account_for == "login":
        return Admitted(Credential.ACCOUNT)
    return Admitted(account_to_store=True)


if __name__ == "__main__":
    sys.exit(main())
