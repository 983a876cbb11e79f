"""Access policy of the SMTP server: clients, relaying, recipients, VRFY, EXPN (RFC 5321 sections 3.3 to 3.9 and 7).

Mail for local domains is accepted from any client, and so is mail for domains in `relay_for`, for which this server is
a backup MX (section 5.1). Mail for other domains is accepted only from authenticated users and from the networks in
`relay_from`, and otherwise rejected as relaying (550 5.7.1). The policy does no I/O itself: callbacks return the octets
used in a mailbox and the free disk space.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from lab7.services.mail.accounts import Account, Accounts, Forward, Known, MailingList
from lab7.services.mail.address import POSTMASTER, Mailbox, MailboxError, PathError, parse_mailbox
from lab7.services.mail.smtp.greylist import Greylist
from lab7.services.mail.smtp.syntax import Reply

Network = IPv4Network | IPv6Network

NO_SERVICE = Reply(554, "SMTP service refused for this client", "5.7.1")
RELAY_DENIED = Reply(550, "Relaying denied", "5.7.1")
NO_SUCH_USER = Reply(550, "User unknown", "5.1.1")
HELD = Reply(450, "The mailbox is temporarily unavailable", "4.2.1")
GREYLISTED = Reply(450, "Greylisted: try again later", "4.7.1")
FULL = Reply(552, "The mailbox is full", "5.2.2")
NO_ROOM = Reply(452, "Not enough disk space", "4.3.1")
WILL_RELAY = Reply(250, "Recipient ok, will relay", "2.1.5")
RECIPIENT_OK = Reply(250, "Recipient ok", "2.1.5")
CANNOT_VERIFY = Reply(252, "Cannot VRFY user, but will accept the message and attempt delivery", "2.1.5")
NO_LIST = Reply(550, "Mailing list unknown", "5.1.1")
AUTH_REQUIRED = Reply(530, "Authentication required", "5.7.0")


@dataclass(slots=True)
class Client:
    """The client of an SMTP connection: IP address, HELO name, account after AUTH, TLS version."""

    address: str
    hello: str = ""
    is_extended: bool = False
    account: Account | None = None
    tls: str | None = None

    @property
    def protocol(self) -> str:
        """The protocol name for the Received field: SMTP, ESMTP, ESMTPS, ESMTPA or ESMTPSA (RFC 3848)."""
        if not self.is_extended:
            return "SMTP"
        return "ESMTP" + ("S" if self.tls else "") + ("A" if self.account is not None else "")


def _nothing_used(_: Account) -> int:
    return 0


def _room_for_all() -> int:
    return 1 << 62


@dataclass
class Policy:
    """Access policy of a server.

    Callbacks: `used_octets` returns the octets used in a mailbox, `free_octets` the free disk space.
    """

    accounts: Accounts
    relay_from: Sequence[Network] = ()
    refused: Sequence[Network] = ()
    greylist: Greylist | None = None
    verifies: bool = True
    used_octets: Callable[[Account], int] = _nothing_used
    free_octets: Callable[[], int] = _room_for_all
    # Octets that must stay free on disk after a message is written to the queue and to a mailbox.
    reserve_octets: int = field(default=1 << 20)
    # Domains in lower case for which this server is a backup MX and relays mail.
    relay_for: Collection[str] = ()

    def connection(self, address: str) -> Reply | None:
        """Return the reply that rejects a client by its IP address, None if the client is admitted."""
        return NO_SERVICE if _is_in(address, self.refused) else None

    def may_relay(self, client: Client) -> bool:
        """Return True if a client may send mail to other domains: it has authenticated, or its address is permitted."""
        return client.account is not None or _is_in(client.address, self.relay_from)

    def sender(self, size_octets: int) -> Reply | None:
        """Return 452, which rejects MAIL, if the disk has no room for the declared size; else None.

        RFC 1870 section 6.1.
        """
        return NO_ROOM if 2 * size_octets + self.reserve_octets > self.free_octets() else None

    def recipient(self, mailbox: Mailbox, reverse_path: Mailbox | None, size_octets: int, client: Client) -> Reply:
        """Return the reply to RCPT: 250 or 251 accepts the recipient, other codes reject it."""
        if not self.accounts.is_local(mailbox.domain):
            is_taken = mailbox.domain.lower() in self.relay_for or self.may_relay(client)
            return WILL_RELAY if is_taken else RELAY_DENIED
        entry = self.accounts.find(mailbox.local_part, mailbox.domain)
        # RFC 5321 section 4.5.1: the postmaster's mail is always accepted, whatever the quota.
        if mailbox.local_part.lower() == POSTMASTER:
            return RECIPIENT_OK
        refusal = self._refusal(entry, size_octets)
        if refusal is not None:
            return refusal
        if self.greylist is not None and not self.may_relay(client):
            triple = (client.address, str(reverse_path or "<>").lower(), str(mailbox).lower())
            if not self.greylist.passes(triple):
                return GREYLISTED
        if isinstance(entry, Forward):
            return Reply(251, f"User not local; will forward to <{entry.target}>", "2.1.5")
        return RECIPIENT_OK

    def _refusal(self, entry: Known | None, size_octets: int) -> Reply | None:
        if entry is None:
            return NO_SUCH_USER
        if isinstance(entry, Forward) and entry.moved:
            return Reply(551, f"User not local; please try <{entry.target}>", "5.1.6")
        if isinstance(entry, Account):
            return HELD if entry.held else self._quota(entry, size_octets)
        return None

    def _quota(self, account: Account, size_octets: int) -> Reply | None:
        if account.quota_octets is None or self.used_octets(account) + max(size_octets, 1) <= account.quota_octets:
            return None
        return FULL

    def content(self, recipients: Sequence[Mailbox], size_octets: int) -> Reply | None:
        """Return the reply that rejects a message, 552 if it exceeds the quotas of all recipients; else None."""
        for mailbox in recipients:
            entry = self.accounts.find(mailbox.local_part, mailbox.domain)
            if not isinstance(entry, Account) or self._quota(entry, size_octets) is None:
                return None
        return FULL

    def verify(self, text: str, client: Client) -> Reply:
        """Return the reply to VRFY, which verifies a user name or mailbox (RFC 5321 section 3.5)."""
        try:
            mailbox = parse_mailbox(_bare(text)) if "@" in text else Mailbox(_bare(text), "")
        except (MailboxError, PathError) as error:
            return Reply(553, f"The mailbox cannot be used: {error}", "5.1.3")
        if not self.accounts.is_local(mailbox.domain):
            return CANNOT_VERIFY if self.may_relay(client) else RELAY_DENIED
        if not self.verifies:
            return CANNOT_VERIFY
        entry = self.accounts.find(mailbox.local_part, mailbox.domain)
        refusal = self._refusal(entry, 0)
        if refusal is not None or entry is None:
            return refusal or NO_SUCH_USER
        return self._described(entry)

    def _described(self, entry: Known) -> Reply:
        if isinstance(entry, Forward):
            return Reply(251, f"User not local; will forward to <{entry.target}>", "2.1.5")
        if isinstance(entry, MailingList):
            return Reply(250, f"<{Mailbox(entry.name.partition('@')[0], self.accounts.domains[0])}>", "2.1.5")
        return Reply(250, f"<{entry.mailbox}>", "2.1.5")

    def expand(self, text: str) -> Reply:
        """Return the reply to EXPN: the members of a mailing list, one per line (RFC 5321 section 3.5)."""
        local_part, _, domain = _bare(text).partition("@")
        entry = self.accounts.find(local_part, domain) if self.verifies else None
        if not isinstance(entry, MailingList):
            return NO_LIST
        default = self.accounts.domains[0]
        members = (f"<{Mailbox(member.local_part, member.domain or default)}>" for member in entry.members)
        return Reply(250, "\n".join(members), "2.1.5")


def _bare(text: str) -> str:
    """Return the text of a mailbox without the optional angle brackets."""
    text = text.strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    if not networks:
        return False
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
