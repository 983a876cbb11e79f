"""A small Internet: DNS, a campus with a caching proxy, a content provider and its CDN, FTP and mail servers.

    alice   10.8.4.101 ─┐
    carol   10.8.4.102 ─┤
    c-dns   10.8.4.2   ─┼─ s4, the campus (campus.edu) ── bw, 15 ms ──┐
    c-cache 10.8.4.100 ─┘  cache.campus.edu, port 3128                │
    c-www   10.8.4.80      www.campus.edu                             │
    c-mail  10.8.4.25      mail.campus.edu                            ├── s0, the Internet
    regions eu, ap, us with users, name servers and edge servers      │   (see cdn: the same hosts and addresses)
    ns-root, ns-com, ns-net, ns-edu, ns-example, ns-cdn, ns-campus ───┤
    origin  10.8.9.1       origin.example.com ── origin_bw, 10 ms ────┤
    ftp     10.8.9.21      ftp.example.com ── 10 ms ──────────────────┤
    mail    10.8.9.25      mail.example.com ── 10 ms ─────────────────┘

All hosts are in 10.8.0.0/16; names are resolved by DNS only, not by /etc/hosts. www.example.com is the content
provider's site, served through the CDN; www.campus.edu is the site of the campus, served by a host on the campus;
ftp.example.com is an anonymous FTP server. There are two mail domains: the mailbox of alice@campus.edu is on the mail
server of the campus, that of carol@example.com on the content provider's. Only the access link and the origin's link
have a rate. The campus is nearest to the CDN's region eu.

    sudo mn --custom topologies/internet.py --topo internet --switch lxbr
"""

import shlex
from collections.abc import Mapping

from lab7.topologies.cdn import PAGES, PREFIX, REGIONS, SERVERS, CdnParts, CdnPlan, local_address
from lab7.topologies.dns_zones import Record
from lab7.topologies.mail import mail_server

ACCESS_LEG_MS, FTP_LEG_MS, MAIL_LEG_MS = 15.0, 10.0, 10.0
CAMPUS = f"{PREFIX}.4"
CAMPUS_NETWORK = f"{CAMPUS}.0/24"
# Name servers in addition to those of the CDN topology: host -> (address, domain name, zone).
MORE_SERVERS: Mapping[str, tuple[str, str, str]] = {
    "ns-edu": (f"{PREFIX}.0.6", "ns.edu.", "edu."),
    "ns-campus": (f"{PREFIX}.0.7", "ns.campus.edu.", "campus.edu."),
}
CACHE_NAME, SITE_NAME, FTP_NAME = "cache.campus.edu.", "www.campus.edu.", "ftp.example.com."
CAMPUS_MAIL_NAME, MAIL_NAME = "mail.campus.edu.", "mail.example.com."
CACHE, SITE, LOCAL, FTP = f"{CAMPUS}.100", f"{CAMPUS}.80", f"{CAMPUS}.2", f"{PREFIX}.9.21"
CAMPUS_MAIL, MAIL = f"{CAMPUS}.25", f"{PREFIX}.9.25"
EXCHANGES: Mapping[str, tuple[Record, ...]] = {
    "campus.edu.": (Record("campus.edu.", "MX", f"10 {CAMPUS_MAIL_NAME}"),),
    "example.com.": (Record("example.com.", "MX", f"10 {MAIL_NAME}"),),
}
PASSWORDS = {"alice": "looking-glass", "carol": "holly-berry"}
# Accounts files of the mail servers (lab7.services.mail.accounts), keyed by user; each server has one mailbox.
ACCOUNTS = {user: f"{user}:{password}\n" for user, password in PASSWORDS.items()}
PEOPLE: Mapping[str, str] = {"alice": f"{CAMPUS}.101", "carol": f"{CAMPUS}.102"}


class InternetTopo(CdnParts):
    """Mininet topology with DNS, CDN, campus, FTP and mail servers; build() documents the parameters."""

    def build(
        self,
        users: int = 1,
        bw: float = 10,
        origin_bw: float = 5,
        ttl: int = 20,
        interval: float = 1.0,
        scale: float = 1.0,
        root: str = str(PAGES),
        campus_accounts: str = ACCOUNTS["alice"],
        accounts: str = ACCOUNTS["carol"],
    ) -> None:
        """Add the hosts, switches and links.

        users                       number of users per region of the CDN
        bw, origin_bw               rates (Mbit/s) of the campus's access link and of the origin's link
        ttl, interval               TTL of the CDN's answers and period of its health checks, in seconds
        scale                       factor of all delays
        root                        document root of the origin and of the campus's own site
        campus_accounts, accounts   accounts files of the mail servers of campus.edu and example.com
        """
        plan = CdnPlan(
            int(ttl),
            float(interval),
            servers={**SERVERS, **MORE_SERVERS},
            addresses={
                CACHE_NAME: CACHE,
                SITE_NAME: SITE,
                FTP_NAME: FTP,
                CAMPUS_MAIL_NAME: CAMPUS_MAIL,
                MAIL_NAME: MAIL,
            },
            records=EXCHANGES,
            networks={CAMPUS_NETWORK: "eu"},
        )
        internet = self.addSwitch("s0")
        self.add_name_servers(internet, plan)
        self.add_origin(internet, float(origin_bw), float(scale), root, max_age=60)
        self._ftp(internet, root, float(scale))
        server = mail_server("example.com", MAIL_NAME.rstrip("."), accounts)
        mail = self.addHost("mail", ip=f"{MAIL}/16", resolver=local_address("eu"), **server)
        self.addLink(mail, internet, delay=f"{MAIL_LEG_MS * float(scale):g}ms")
        for name, (number, delay_ms) in REGIONS.items():
            switch = self.addSwitch(f"s{number}")
            self.addLink(switch, internet, delay=f"{delay_ms * float(scale):g}ms")
            self.add_region(switch, name, int(users), plan)
        campus = self.addSwitch("s4")
        self.addLink(campus, internet, bw=float(bw), delay=f"{ACCESS_LEG_MS * float(scale):g}ms")
        self._campus(campus, root, campus_accounts)

    def _ftp(self, switch: str, root: str, scale: float) -> None:
        serves = f"lab7.services.ftp.server --root {shlex.quote(root)} --anonymous --listen 0.0.0.0 --port 21"
        server = self.addHost("ftp", ip=f"{FTP}/16", names=[FTP_NAME.rstrip(".")], serves=serves)
        self.addLink(server, switch, delay=f"{FTP_LEG_MS * scale:g}ms")

    def _campus(self, switch: str, root: str, accounts: str) -> None:
        self.addLink(self.add_resolver("c-dns", LOCAL), switch)
        for host, address, name, serves in (
            ("c-cache", CACHE, CACHE_NAME, "lab7.services.http.proxy --name c-cache --listen 0.0.0.0 --port 3128"),
            (
                "c-www",
                SITE,
                SITE_NAME,
                f"lab7.services.http.origin --root {shlex.quote(root)} --listen 0.0.0.0 --port 80",
            ),
        ):
            node = self.addHost(host, ip=f"{address}/16", names=[name.rstrip(".")], resolver=LOCAL, serves=serves)
            self.addLink(node, switch)
        server = mail_server("campus.edu", CAMPUS_MAIL_NAME.rstrip("."), accounts)
        self.addLink(self.addHost("c-mail", ip=f"{CAMPUS_MAIL}/16", resolver=LOCAL, **server), switch)
        for person, address in PEOPLE.items():
            self.addLink(self.addHost(person, ip=f"{address}/16", resolver=LOCAL), switch)


TRY = (
    "alice dig www.example.com",
    "alice dig +trace www.example.com @10.8.0.1",
    "alice curl http://www.example.com/",
    "alice curl -si -x http://cache.campus.edu:3128 http://www.example.com/",
    "ap-user curl -si http://www.example.com/",
    "us-user curl http://www.campus.edu/",
    "carol curl ftp://ftp.example.com/index.html",
    f"alice swaks --server mail.campus.edu --port 587 --auth PLAIN --auth-user alice "
    f"--auth-password {PASSWORDS['alice']} --from alice@campus.edu --to carol@example.com",
    f"carol curl -sS pop3://carol:{PASSWORDS['carol']}@mail.example.com/",
    f"carol curl -sS smtp://carol:{PASSWORDS['carol']}@mail.example.com:587 --mail-from carol@example.com "
    f"--mail-rcpt alice@campus.edu -T {PAGES / 'index.html'}",
    f"alice curl -sS imap://alice:{PASSWORDS['alice']}@mail.campus.edu/ -X 'STATUS INBOX (MESSAGES)'",
)
topos = {"internet": InternetTopo}
