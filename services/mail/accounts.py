r"""Parser of the accounts file: users, passwords, quotas, mailing lists and forwards (RFC 5321 sections 3.4 and 3.5).

    alice:correct horse:10000000          a user, the password, and the quota in octets (optional; default: none)
    bob@example.org:scrypt$14$8$1$...     a user of one domain only; the password hashed by hash_password(); no quota
    carol:secret:1000000:hold             a mailbox that accepts no messages for now (reply 450)
    staff: alice, bob@example.org         an alias of several mailboxes (RFC 5321 section 3.9.1), which EXPN shows
    dave => dave@example.net              a user whose mail is forwarded (reply 251)
    erin -> erin@example.net              a user that has moved: mail is rejected with the new address (reply 551)
    # a comment

A name without a domain is valid in every domain of the server. Names are case-insensitive. The postmaster always exists
(RFC 5321 section 4.5.1): if the file does not define the name, the postmaster is a user with a mailbox.

The members of a list and the target of a forward may be lists and forwards themselves. A list or forward that leads
only to further lists and forwards, never to a mailbox or another server, is an alias loop (Accounts.loops): mail for it
fails. EXPN treats a list as a mailing list, as RFC 5321 section 3.5.1 permits if aliases and mailing lists are in one
data structure.
"""

import base64
import binascii
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.mail import address
from lab7.services.mail.address import POSTMASTER, Mailbox, MailboxError, PathError, parse_mailbox
from lab7.services.passwords import MEMORY_OCTETS, ScryptHash

# A user name is also the name of a directory, the user's Maildir, so a slash and a leading dot are invalid.
_USER = re.compile(r"[a-z0-9_][a-z0-9_.+-]{0,63}\Z")
HOLD = "hold"
SCRYPT = "scrypt"


@dataclass(frozen=True, slots=True)
class Account:
    """A local user with a mailbox.

    `quota_octets` None means no quota. If `held` is True, mail for the user is rejected temporarily (450).
    """

    user: str
    domain: str
    quota_octets: int | None = None
    held: bool = False

    @property
    def targets(self) -> tuple[Mailbox, ...]:
        """The addresses to which mail for this user is redirected: none, since the user has a mailbox."""
        return ()

    @property
    def mailbox(self) -> Mailbox:
        """The user's mail address."""
        return Mailbox(self.user, self.domain)

    def directory(self, maildirs: Path) -> Path:
        """Return the path of the user's Maildir, `maildirs`/domain/user."""
        return maildirs / self.domain / self.user


@dataclass(frozen=True, slots=True)
class MailingList:
    """A mailing list: a name that expands to its members' mailboxes."""

    name: str
    members: tuple[Mailbox, ...]

    @property
    def targets(self) -> tuple[Mailbox, ...]:
        """The addresses to which mail for the list is redirected: its members."""
        return self.members


@dataclass(frozen=True, slots=True)
class Forward:
    """A user at another address: mail is forwarded (251) or, if `moved`, rejected with the new address (551)."""

    name: str
    target: Mailbox
    moved: bool = False

    @property
    def targets(self) -> tuple[Mailbox, ...]:
        """The addresses to which mail is redirected: none if the user has moved, since mail is then rejected."""
        return () if self.moved else (self.target,)


Known = Account | MailingList | Forward


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    password: str
    quota_octets: int | None
    held: bool


class Accounts:
    """The users, lists and forwards of the server's own domains; `domains[0]` is the default domain."""

    def __init__(self, text: str, domains: Iterable[str]) -> None:
        """Parse the text of an accounts file; raises ServiceError with the number of the first invalid line."""
        self.domains = tuple(domain.lower() for domain in domains)
        for domain in self.domains:
            if not address.is_domain(domain):
                raise ServiceError(f"{domain!r} is not a valid mail domain: name another with --domain")
        self._entries: dict[tuple[str, str], _User | MailingList | Forward] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                self._add(line.strip(), number)
        self.loops = self._find_loops()

    @classmethod
    def load(cls, path: Path, domains: Iterable[str]) -> "Accounts":
        """Read and parse an accounts file; raises ServiceError if it is unreadable or invalid."""
        try:
            return cls(path.read_text(encoding="utf-8"), domains)
        except (OSError, UnicodeDecodeError) as error:
            raise ServiceError(f"cannot read the accounts in {path} ({error}): name another file") from error

    def is_local(self, domain: str) -> bool:
        """Return True if a domain is one of the server's own; an empty domain stands for the default domain."""
        return not domain or domain.lower() in self.domains

    def recipient_key(self, mailbox: Mailbox) -> tuple[str, str]:
        """Return a comparison key for an address; two addresses of the same recipient have equal keys.

        Names are case-insensitive here, but other servers may distinguish local parts by case (RFC 5321 section 2.4).
        """
        local_part, domain = mailbox.key
        return (local_part if self.is_local(domain) else mailbox.local_part), domain

    def find(self, local_part: str, domain: str = "") -> Known | None:
        """Return the user, list or forward with this name in a local domain, None if the name is unknown."""
        domain = domain.lower() or self.domains[0]
        if domain not in self.domains:
            return None
        name = local_part.lower()
        entry = self._entries.get((name, domain)) or self._entries.get((name, ""))
        if isinstance(entry, _User):
            return Account(entry.name, domain, entry.quota_octets, entry.held)
        if entry is None and name == POSTMASTER:
            return Account(POSTMASTER, domain)
        return entry

    def exists(self, local_part: str, domain: str = "") -> bool:
        """Return True if a name in a local domain is a user with a mailbox (not a list or forward)."""
        return isinstance(self.find(local_part, domain), Account)

    def follow(self, entry: Known) -> Known | None:
        """Follow forwards and one-member lists from `entry`, as long as their target is local; return the last entry.

        The last entry may be a user, a list of several members, an alias of an address at another server, or part of a
        loop. Returns None if a target is unknown.
        """
        found: Known | None = entry
        while found is not None and found not in self.loops and len(found.targets) == 1:
            (target,) = found.targets
            if not self.is_local(target.domain):
                break
            found = self.find(target.local_part, target.domain)
        return found

    def users(self) -> Iterator[Account]:
        """Yield the accounts of all users, once for each local domain in which the user name is valid."""
        for (name, domain), entry in self._entries.items():
            if isinstance(entry, _User):
                for user_domain in (domain,) if domain else self.domains:
                    yield Account(name, user_domain, entry.quota_octets, entry.held)

    def check(self, user: str, password: str) -> Account | None:
        """Return the account of `user` (name or name@domain) if the password is right, None otherwise.

        An unknown name takes as long as a wrong password. A hashed password takes some 50 ms of CPU time, so callers
        run the check in a thread, not on the event loop.
        """
        account, entry = self._login(user)
        matches = _matches(entry.password if entry is not None else self._dummy_password(), password)
        return account if matches and entry is not None else None

    def plain_password(self, user: str) -> tuple[Account, str] | None:
        """Return (account, password) for APOP; None if the user is unknown or only the password's hash is known."""
        account, entry = self._login(user)
        if account is None or entry is None or entry.password.startswith(SCRYPT + "$"):
            return None
        return account, entry.password

    def _find_loops(self) -> tuple[MailingList | Forward, ...]:
        """Return the lists and forwards in alias loops, which lead to no mailbox or other server, in file order."""
        aliases = [entry for entry in self._entries.values() if not isinstance(entry, _User) and entry.targets]
        sources: dict[str, list[MailingList | Forward]] = defaultdict(list)
        reached: list[MailingList | Forward] = []
        for alias in aliases:
            for mailbox in alias.targets:
                target = self.find(mailbox.local_part, mailbox.domain)
                if target is None or isinstance(target, Account) or not target.targets:
                    reached.append(alias)
                else:
                    sources[target.name.lower()].append(alias)
        ending: set[str] = set()
        while reached:
            name = reached.pop().name.lower()
            if name not in ending:
                ending.add(name)
                reached += sources[name]
        return tuple(alias for alias in aliases if alias.name.lower() not in ending)

    def _login(self, user: str) -> tuple[Account | None, _User | None]:
        local_part, at, domain = user.rpartition("@")
        name, domain = (local_part, domain.lower()) if at else (user, self.domains[0])
        account = self.find(name, domain)
        entry = self._entries.get((name.lower(), domain)) or self._entries.get((name.lower(), ""))
        return (account, entry) if isinstance(account, Account) and isinstance(entry, _User) else (None, None)

    def _dummy_password(self) -> str:
        """Return an existing user's password, to be compared in place of an unknown user's.

        Response times then do not reveal which user names are valid.
        """
        users = (entry.password for entry in self._entries.values() if isinstance(entry, _User))
        return next(users, "")

    def _add(self, line: str, number: int) -> None:
        try:
            name, entry = _entry(line)
            local_part, _, domain = name.lower().partition("@")
            if not _USER.match(local_part) or ".." in local_part:
                raise ValueError(f"{name!r} is not a valid user name")
            if domain and domain not in self.domains:
                raise ValueError(f"{domain} is not a domain of this server")
            if (local_part, domain) in self._entries:
                raise ValueError(f"{name} is defined twice")
        except (ValueError, MailboxError, PathError) as error:
            raise ServiceError(f"accounts file, line {number}: {error}") from None
        self._entries[local_part, domain] = entry


def _entry(line: str) -> tuple[str, "_User | MailingList | Forward"]:
    for arrow, moved in (("=>", False), ("->", True)):
        name, separator, target = line.partition(arrow)
        if separator and ":" not in name:
            return name.strip(), Forward(name.strip(), parse_mailbox(target.strip()), moved)
    name, colon, rest = line.partition(":")
    if not colon:
        raise ValueError("expected name:password:quota, a list (name: a, b) or a forward (name => mailbox)")
    if rest[:1].isspace():
        return name, MailingList(name, tuple(_member(member.strip()) for member in rest.split(",")))
    return name, _user(name.partition("@")[0].lower(), rest)


def _member(text: str) -> Mailbox:
    """Parse the address of a list member; a name without a domain gets the empty domain (the default domain)."""
    if "@" in text:
        return parse_mailbox(text)
    if not _USER.match(text.lower()):
        raise ValueError(f"{text!r} is not a valid member name")
    return Mailbox(text, "")


def _user(name: str, rest: str) -> _User:
    password, *others = rest.split(":")
    quota = others[0].strip() if others else ""
    if quota and not (quota.isascii() and quota.isdigit()):
        raise ValueError(f"{quota!r} is not a quota in octets")
    if others[1:] not in ([], [""], [HOLD]) or not password:
        raise ValueError("expected name:password:quota or name:password:quota:hold")
    if password.startswith(SCRYPT + "$"):
        _parse_hash(password)
    return _User(name, password, int(quota) or None if quota else None, others[1:] == [HOLD])


def hash_password(password: str, salt: bytes) -> str:
    """Hash a password by scrypt (RFC 7914); return `scrypt$14$8$1$salt$hash` for the accounts file."""
    stored = ScryptHash.create(password.encode("utf-8"), salt)
    words = (base64.b64encode(octets).decode("ascii") for octets in (stored.salt, stored.digest))
    return "$".join((SCRYPT, str(stored.n.bit_length() - 1), str(stored.r), str(stored.p), *words))


def _parse_hash(text: str) -> ScryptHash:
    try:
        _, log_n, r, p, salt, digest = text.split("$")
        costs = int(log_n), int(r), int(p)
        octets = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("a password hash must have the form scrypt$log2(N)$r$p$salt$hash") from None
    # Reject invalid scrypt costs when the file is loaded: hashlib.scrypt() would fail at the first login only.
    if not (1 <= costs[0] <= 20 and costs[1] >= 1 and costs[2] >= 1):
        raise ValueError("the cost parameters of a password hash are out of range")
    if 128 * costs[1] * (1 << costs[0]) >= MEMORY_OCTETS:
        raise ValueError("a password hash must not need more than 64 MiB")
    return ScryptHash(1 << costs[0], costs[1], costs[2], *octets)


def _matches(stored: str, password: str) -> bool:
    if not stored.startswith(SCRYPT + "$"):
        return hmac.compare_digest(stored.encode("utf-8"), password.encode("utf-8"))
    return _parse_hash(stored).matches(password.encode("utf-8"))
