"""Topology for mail: two domains, each with mail server, user and name servers, one with a backup MX.

    alice  10.25.1.101 ── sender ──┐                                     ┌── receiver ── bob    10.25.2.101
    www    10.25.1.80  ────────────┼─ s1 ── bw, between ─ s0 ─ between ─ s2 ──────────── mail-b 10.25.2.25
    mail-a 10.25.1.25  ────────────┤   example.org        │    example.com  └─────────── dns-b  10.25.2.53
    dns-a  10.25.1.53  ────────────┘                      │
    ns-root 10.25.0.1  a.root-servers.net ── names ───────┤
    ns-org  10.25.0.2  ns.org             ── names ───────┤
    ns-com  10.25.0.3  ns.com             ── names ───────┤
    ns-a    10.25.0.4  ns.example.org     ── names ───────┤
    ns-b    10.25.0.5  ns.example.com     ── names ───────┤
    backup  10.25.3.25 backup.example.com ── 30 ms ───────┘

All hosts are in 10.25.0.0/16; names are resolved by DNS only, not by /etc/hosts. The mailbox of alice@example.org is on
mail-a (mail.example.org), that of bob@example.com on mail-b (mail.example.com). Mail for example.com goes to
mail.example.com (MX, preference 10) and, while that is unreachable, to backup.example.com (preference 20), which queues
it. Each mail server accepts relayed mail on port 25 and submissions of its users on port 587, and gives access to
mailboxes by POP3 (port 110), IMAP (port 143) and webmail (port 80). In the diagram, `sender`, `receiver`, `between` and
`names` are delays, parameters of the topology. The delays are one-way; `between` is the delay between the two mail
servers, half of it on either side of s0. RTT: alice - mail-a 20 ms, mail-a - mail-b 100 ms, bob - mail-b 40 ms. Only
the link s1 - s0 has a rate. www.example.org is a web server with pictures, among them the one that Alice sends by mail.

    sudo mn --custom topologies/mail.py --topo mail --switch lxbr
"""

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.topologies.dns_zones import NamePlan, Record, Zone

PREFIX = "10.25"
# The package resource API locates the pages, because `mn --custom` does not define __file__.
PAGES = Path(str(resources.files("lab7.topologies"))) / "www"
PICTURE = PAGES / "picture.jpg"
ALICE, BOB = "alice@example.org", "bob@example.com"
PASSWORDS = {"alice": "looking-glass", "bob": "yellow-hat"}
SMTP_PORT, SUBMISSION_PORT, POP3_PORT, IMAP_PORT, WEBMAIL_PORT = 25, 587, 110, 143, 80
# Name servers of the topology: host -> (address, domain name, zone).
SERVERS: Mapping[str, tuple[str, str, str]] = {
    "ns-root": (f"{PREFIX}.0.1", "a.root-servers.net.", "."),
    "ns-org": (f"{PREFIX}.0.2", "ns.org.", "org."),
    "ns-com": (f"{PREFIX}.0.3", "ns.com.", "com."),
    "ns-a": (f"{PREFIX}.0.4", "ns.example.org.", "example.org."),
    "ns-b": (f"{PREFIX}.0.5", "ns.example.com.", "example.com."),
}
MAIL_A, MAIL_B, BACKUP, WEB = "mail.example.org.", "mail.example.com.", "backup.example.com.", "www.example.org."
ADDRESSES: Mapping[str, str] = {
    MAIL_A: f"{PREFIX}.1.25",
    MAIL_B: f"{PREFIX}.2.25",
    BACKUP: f"{PREFIX}.3.25",
    WEB: f"{PREFIX}.1.80",
}
LOCAL_A, LOCAL_B = f"{PREFIX}.1.53", f"{PREFIX}.2.53"
ALICE_ADDRESS, BOB_ADDRESS = f"{PREFIX}.1.101", f"{PREFIX}.2.101"
BACKUP_LEG_MS = 30.0
# Accounts files of the mail servers (lab7.services.mail.accounts): users with passwords, mailing lists.
ACCOUNTS_A = f"alice:{PASSWORDS['alice']}\n"
ACCOUNTS_B = f"bob:{PASSWORDS['bob']}\nstaff: bob, {ALICE}\n"


def mail_server(domain: str, name: str, accounts: str, flags: str = "") -> dict[str, Any]:
    """Return the addHost parameters of a domain's mail server: its services, files and names.

    name: domain name of the server, without the final dot; accounts: text of its accounts file; flags: further options
    of its MTA.
    """
    mailboxes = "--accounts accounts --maildirs maildirs --listen 0.0.0.0"
    mta = f"lab7.services.mail.mta --domain {domain} --hostname {name} {mailboxes} --queue queue --port {SMTP_PORT}"
    serves = [f"{mta} --submission-port {SUBMISSION_PORT} {flags}".rstrip()]
    serves += [
        f"lab7.services.mail.{protocol} --domain {domain} {mailboxes} --port {port}"
        for protocol, port in (("pop3", POP3_PORT), ("imap", IMAP_PORT))
    ]
    submission = f"--submission 127.0.0.1:{SUBMISSION_PORT} --hello {name}"
    serves.append(f"lab7.services.mail.webmail --domain {domain} {mailboxes} {submission} --port {WEBMAIL_PORT}")
    return {"names": [name], "files": {"accounts": accounts}, "serves": serves}


def backup_server(domain: str, name: str) -> dict[str, Any]:
    """Return the addHost parameters of a backup MX, which queues mail while the domain's mail server is unreachable."""
    flags = f"--domain {name} --relay-for {domain} --accounts accounts --maildirs maildirs --queue queue"
    serves = f"lab7.services.mail.mta {flags} --retry 1,2,5,10,60 --listen 0.0.0.0 --port {SMTP_PORT}"
    return {"names": [name], "files": {"accounts": ""}, "serves": serves}


def mail_names(backup: bool = True) -> NamePlan:
    """Return the DNS zones of this topology, with MX records; `backup` adds the backup MX."""
    addresses = {name: [address] for address, name, _ in SERVERS.values()}
    addresses |= {name: [address] for name, address in ADDRESSES.items() if backup or name != BACKUP}
    exchanges = {
        "example.org.": (Record("example.org.", "MX", f"10 {MAIL_A}"),),
        "example.com.": (
            Record("example.com.", "MX", f"10 {MAIL_B}"),
            *((Record("example.com.", "MX", f"20 {BACKUP}"),) if backup else ()),
        ),
    }
    zones = [Zone(origin, (name,), exchanges.get(origin, ())) for _, name, origin in SERVERS.values()]
    return NamePlan("mail", addresses, zones)


class MailTopo(Topo):  # type: ignore[misc]
    """Mininet topology of two mail domains with their DNS hierarchy; build() documents the parameters."""

    # Hosts resolve names by the name servers, not by /etc/hosts.
    host_names = False

    def build(
        self,
        sender: str = "10ms",
        between: str = "50ms",
        receiver: str = "20ms",
        names: str = "15ms",
        bw: float = 10,
        backup: str = "yes",
        root: str = str(PAGES),
        accounts_a: str = ACCOUNTS_A,
        accounts_b: str = ACCOUNTS_B,
        flags_a: str = "",
        flags_b: str = "",
    ) -> None:
        """Add the hosts, switches and links. Raises ValueError for a parameter out of range.

        sender, between, receiver, names   one-way delays of Alice's link, between the two mail servers, of Bob's
                                           link, and of each name server's link
        bw                                 rate of the link between s1 and s0 in Mbit/s
        backup                             example.com has a backup MX (yes or no)
        root                               document root of www
        accounts_a, accounts_b             accounts files of example.org and example.com
        flags_a, flags_b                   further options of their MTAs
        """
        if backup not in ("yes", "no"):
            raise ValueError(f"backup={backup!r}: must be yes or no")
        internet, near, far = self.addSwitch("s0"), self.addSwitch("s1"), self.addSwitch("s2")
        half = _half(between)
        self.addLink(near, internet, bw=float(bw), delay=half)
        self.addLink(far, internet, delay=half)
        self._name_servers(internet, names, backup == "yes")
        self._site(near, "a", LOCAL_A, mail_server("example.org", MAIL_A.rstrip("."), accounts_a, flags_a), MAIL_A)
        self._site(far, "b", LOCAL_B, mail_server("example.com", MAIL_B.rstrip("."), accounts_b, flags_b), MAIL_B)
        serves = f"lab7.services.http.origin --root {shlex.quote(root)} --listen 0.0.0.0 --port 80"
        self.addLink(self.addHost("www", ip=_ip(WEB), names=[WEB.rstrip(".")], resolver=LOCAL_A, serves=serves), near)
        self.addLink(self.addHost("alice", ip=f"{ALICE_ADDRESS}/16", resolver=LOCAL_A), near, delay=sender)
        self.addLink(self.addHost("bob", ip=f"{BOB_ADDRESS}/16", resolver=LOCAL_B), far, delay=receiver)
        if backup == "yes":
            node = backup_server("example.com", BACKUP.rstrip("."))
            host = self.addHost("backup", ip=_ip(BACKUP), resolver=LOCAL_B, **node)
            self.addLink(host, internet, delay=f"{BACKUP_LEG_MS:g}ms")

    def name_plan(self, backup: bool) -> NamePlan:
        """Return the DNS zones of the topology; overridden by a subclass with further names."""
        return mail_names(backup)

    def _name_servers(self, internet: str, delay: str, backup: bool) -> None:
        plan = self.name_plan(backup)
        for host, (address, name, origin) in SERVERS.items():
            files = {"own.zone": plan.master_file(origin)}
            serves = f"lab7.services.dns.authoritative --zone own.zone --listen {address} --port 53"
            node = self.addHost(host, ip=f"{address}/16", names=[name.rstrip(".")], files=files, serves=serves)
            self.addLink(node, internet, delay=delay)

    def _site(self, switch: str, letter: str, local: str, server: Mapping[str, Any], name: str) -> None:
        """Add the servers of one mail domain to a switch: the mail server, and the recursive resolver that it uses."""
        self.addLink(self.addHost(f"mail-{letter}", ip=_ip(name), resolver=local, **server), switch)
        root, root_name, _ = SERVERS["ns-root"]
        serves = f"lab7.services.dns.resolver --root {root_name}={root} --listen 0.0.0.0 --port 53"
        self.addLink(self.addHost(f"dns-{letter}", ip=f"{local}/16", serves=serves), switch)


def _ip(name: str) -> str:
    return f"{ADDRESSES[name]}/16"


def _half(delay: str) -> str:
    """Return half of a delay in TCLink's format: 50ms, 300us, 1s."""
    number = delay.rstrip("mus")
    try:
        return f"{float(number) / 2:g}{delay[len(number) :]}"
    except ValueError:
        raise ValueError(f"between={delay!r} is not a delay such as 50ms") from None


SUBMITS = f"--server mail.example.org --port {SUBMISSION_PORT} --auth PLAIN --auth-user alice"
SENDS = f"from={ALICE} copy=no smtp_url=smtp://alice:{PASSWORDS['alice']}@mail.example.org:{SUBMISSION_PORT}"
# Mutt is started without TLS, which it requires by default, so that captures show the dialogue.
MUTT = "mutt -e 'set ssl_force_tls=no ssl_starttls=no folder=.'"
AT_BOBS = f"bob:{PASSWORDS['bob']}@mail.example.com"
TRY = (
    "alice dig MX example.com",
    f"alice swaks {SUBMITS} --auth-password {PASSWORDS['alice']} --from {ALICE} --to {BOB} "
    f"--attach-type image/jpeg --attach @{PICTURE}",
    f"alice {MUTT} -e 'set {SENDS}' -s Hello -a {PICTURE} -- {BOB}",
    f"alice curl -sS smtp://mail.example.com --mail-from {ALICE} --mail-rcpt {BOB} -T {PAGES / 'index.html'}",
    f"bob curl -sS pop3://{AT_BOBS}/",
    f"bob curl -sS 'imap://{AT_BOBS}/INBOX;MAILINDEX=1;SECTION=HEADER'",
    "bob curl -sSL http://mail.example.com/",
    f"bob {MUTT} -f imap://{AT_BOBS}/INBOX",
    "bob curl -sS http://www.example.org/picture.jpg -o picture.jpg",
)
topos = {"mail": MailTopo}
