"""Access policy of the SMTP server: clients, relaying, recipients, VRFY, EXPN (RFC 5321 sections 3.3 to 3.9 and 7).

Mail for local domains is accepted from any client, and so is mail for domains in `relay_for`, for which this server is
a backup MX (section 5.1). Mail for other domains is accepted only from authenticated users and from the networks in
`relay_from`, and otherwise rejected as relaying (550 5.7.1). The policy does no I/O itself: callbacks return the octets
used in a mailbox and the free disk space.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from lab7.services.mail.accounts import Account, Accounts, Forward, Known, MailingList
from lab7.services.mail.address import POSTMASTER, Mailbox, MailboxError, PathError, literal_address, parse_mailbox
from lab7.services.mail.smtp.greylist import Greylist
from lab7.services.mail.smtp.syntax import Reply

Network = IPv4Network | IPv6Network

NO_SERVICE = Reply(554, "SMTP service refused for this client", "5.7.1")
RELAY_DENIED = Reply(550, "Relaying denied", "5.7.1")
NO_SUCH_USER = Reply(550, "User unknown", "5.1.1")
ALIAS_LOOP = Reply(550, "The address is an alias that leads back to itself", "5.4.6")
HELD = Reply(450, "The mailbox is temporarily unavailable", "4.2.1")
GREYLISTED = Reply(450, "Greylisted: try again later", "4.7.1")
FULL = Reply(552, "The mailbox is full", "5.2.2")
NO_ROOM = Reply(452, "Not enough disk space", "4.3.1")
WILL_RELAY = Reply(250, "Recipient ok, will relay", "2.1.5")
RECIPIENT_OK = Reply(250, "Recipient ok", "2.1.5")
CANNOT_VERIFY = Reply(252, "Cannot VRFY user, but will accept the message and attempt delivery", "2.1.5")
CANNOT_EXPAND = Reply(252, "Cannot EXPN the list, but will accept the message and attempt delivery", "2.1.5")
NO_LIST = Reply(550, "Mailing list unknown", "5.1.1")
AUTH_REQUIRED = Reply(530, "Authentication required", "5.7.0")


@dataclass(slots=True)
class Client:
    """The client of an SMTP connection: IP address, HELO name, account after AUTH, TLS version.

    `local_address` is the server's IP address of this connection, empty if unknown.
    """

    address: str
    hello: str = ""
    is_extended: bool = False
    account: Account | None = None
    tls: str | None = None
    local_address: str = ""

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
    """Access policy of an SMTP server: the clients, senders, recipients and messages that it accepts.

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
        """Return reply 452, which rejects MAIL, if the disk has no room for the declared message size; else None.

        RFC 1870 section 6.1.
        """
        return NO_ROOM if 2 * size_octets + self.reserve_octets > self.free_octets() else None

    def localized(self, mailbox: Mailbox, client: Client) -> Mailbox:
        """Return a recipient with the default domain in place of a missing domain or an address literal of this server.

        An address literal stands for the host with this address (RFC 5321 section 4.1.3), here the address to which the
        client has connected. Postfix also completes a missing domain (append_at_myorigin).
        """
        literal = literal_address(mailbox.domain)
        is_own = literal is not None and _is_same(literal, client.local_address)
        return mailbox if mailbox.domain and not is_own else replace(mailbox, domain=self.accounts.domains[0])

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
        final = None if entry is None else self.accounts.follow(entry)
        return refusal(final, self.accounts) or self._quota(final, size_octets)

    def _quota(self, account: Known | None, size_octets: int) -> Reply | None:
        if not isinstance(account, Account) or account.quota_octets is None:
            return None
        return FULL if self.used_octets(account) + max(size_octets, 1) > account.quota_octets else None

    def content(self, recipients: Sequence[Mailbox], size_octets: int) -> Reply | None:
        """Return reply 552, which rejects a message, if it exceeds the quota of every recipient; else None."""
        for mailbox in recipients:
            entry = self.accounts.find(mailbox.local_part, mailbox.domain)
            if entry is None or self._quota(self.accounts.follow(entry), size_octets) is None:
                return None
        return FULL

    def verify(self, text: str, client: Client) -> Reply:
        """Return the reply to VRFY, which verifies a user name or mailbox (RFC 5321 section 3.5)."""
        try:
            mailbox = parse_mailbox(_bare(text)) if "@" in text else Mailbox(_bare(text), "")
        except (MailboxError, PathError) as error:
            return Reply(553, f"The mailbox cannot be used: {error}", "5.1.3")
        mailbox = self.localized(mailbox, client)
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
        if not self.verifies:
            # RFC 5321 section 7.3: a disabled EXPN gets 252, since other codes would give a result.
            return CANNOT_EXPAND
        local_part, _, domain = _bare(text).partition("@")
        entry = self.accounts.find(local_part, domain)
        if not isinstance(entry, MailingList):
            return NO_LIST
        default = self.accounts.domains[0]
        members = (f"<{Mailbox(member.local_part, member.domain or default)}>" for member in entry.members)
        return Reply(250, "\n".join(members), "2.1.5")


def refusal(entry: Known | None, accounts: Accounts) -> Reply | None:
    """Return the reply that rejects all mail for an entry of the accounts file (None: unknown user).

    Returns None if mail to the entry can be accepted.
    """
    if entry is None:
        return NO_SUCH_USER
    if entry in accounts.loops:
        return ALIAS_LOOP
    if isinstance(entry, Forward) and entry.moved:
        return Reply(551, f"User not local; please try <{entry.target}>", "5.1.6")
    # RFC 5321 section 4.5.1: the postmaster's mailbox always accepts mail.
    if isinstance(entry, Account) and entry.held and entry.user != POSTMASTER:
        return HELD
    return None


def _bare(text: str) -> str:
    """Return the text of a mailbox without the optional angle brackets."""
    text = text.strip()
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text


def _is_same(address: str, other: str) -> bool:
    try:
        return ip_address(address) == ip_address(other)
    except ValueError:
        return False


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    if not networks:
        return False
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
