"""Topology for forged mail: topologies/mail.py plus an attacker, a forwarding address, and SPF, DKIM and DMARC records.

                              mallory 10.25.4.66 ── stranger ──┐
    alice, mail-a, dns-a, www ── s1 ───────────────────────── s0 ── s2 ── bob, mail-b, dns-b
    example.org               forward 10.25.4.25 ── stranger ──┘          example.com

Hosts, addresses and delays are those of mail, without the backup MX; `stranger`, a parameter, is the delay of the links
of mallory and forward. mallory, the attacker, belongs to neither mail domain. forward (forward.example.com) forwards
mail for bob@alumni.example.com to bob@example.com with the envelope sender unchanged. example.org publishes an SPF
record that permits its MX only, the DKIM key with which mail-a signs, and the DMARC policy reject. Two subdomains
without hosts have weaker DMARC policies: news.example.org quarantine, lists.example.org none. mail-b checks all mail
from other hosts, except from its authenticated users.

    sudo mn --custom topologies/mail_forgery.py --topo mail-forgery --switch lxbr
"""

from dataclasses import replace
from importlib import resources

from lab7.topologies.dns_zones import NamePlan, Record
from lab7.topologies.mail import (
    ADDRESSES,
    ALICE,
    BOB,
    LOCAL_A,
    LOCAL_B,
    PASSWORDS,
    PREFIX,
    SMTP_PORT,
    SUBMITS,
    MailTopo,
    mail_names,
)

MALLORY_ADDRESS, FORWARD_ADDRESS = f"{PREFIX}.4.66", f"{PREFIX}.4.25"
FORWARD, ALUMNI = "forward.example.com.", "alumni.example.com."
FORWARDED = "bob@alumni.example.com"
NEWS, LISTS = "news.example.org", "lists.example.org"
SELECTOR, KEY_FILE = "2026", "dkim.pem"
# Public key of templates/dkim.pem, a private key that every copy of lab7 contains, so that it protects nothing.
PUBLIC_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAy9YtkUEOXK9VxTGFjsEA7VmJy/KxF6D4ixDMihkq5HFy4s7V2GQ5wAn9"
    "ItEdTQDJEh4MuKL0dZZr3xESqIdQX8O0G5LeY87sk4r+JWu1fiMi3VOfAv8PmjmO0qBaP1i0cJVk8bkPI8EFju5wcm0KZrItcpgp"
    "rURBW5E8skuTOmWKgi+6k0ynlMERzH9HUuB28EvbpLMxK1/BkGrt+ZL+rJ+rjr1YV8Otj117jPWubp8/aucxpjRU+R9daM/AhCX4"
    "hOOPBdeNgnrJN1a4b+l4dBZbAdbYznMDaSItGyqU1s1q9/RbhG6gcUryjtRkqQsZUm4pnL5V1u1DMplVEzZWcwIDAQAB"
)
SIGNS = f"--dkim-key {SELECTOR}:example.org:{KEY_FILE}"
CHECKS = "--dmarc enforce"
# A character-string has at most 255 octets (RFC 1035 section 3.3).
STRING_OCTETS = 255


def _txt(owner: str, text: str) -> Record:
    strings = [text[begin : begin + STRING_OCTETS] for begin in range(0, len(text), STRING_OCTETS)]
    return Record(owner, "TXT", " ".join(f'"{string}"' for string in strings))


POLICIES = {"example.org": "reject", NEWS: "quarantine", LISTS: "none"}
PUBLISHED = (
    *(_txt(f"{domain}.", "v=spf1 mx:example.org -all") for domain in POLICIES),
    *(_txt(f"_dmarc.{domain}.", f"v=DMARC1; p={policy}") for domain, policy in POLICIES.items()),
    _txt(f"{SELECTOR}._domainkey.example.org.", f"v=DKIM1; k=rsa; p={PUBLIC_KEY}"),
)


class MailForgeryTopo(MailTopo):
    """Mininet topology of two mail domains, an attacker and a forwarding server; build() documents the parameters."""

    def build(  # type: ignore[override]
        self,
        sender: str = "10ms",
        between: str = "50ms",
        receiver: str = "20ms",
        stranger: str = "30ms",
        names: str = "15ms",
        bw: float = 10,
        signs: str = "yes",
        checks: str = "yes",
    ) -> None:
        """Add the hosts of the topology mail, the attacker's host, and the forwarding mail server.

            sender, between, receiver, names, bw   as in the topology mail
            stranger                               one-way delay of the links of mallory and forward
            signs                                  mail-a signs its users' mail with DKIM (yes or no)
            checks                                 mail-b checks SPF, DKIM and DMARC (yes or no)

        Raises ValueError for a parameter out of range.
        """
        for name, value in (("signs", signs), ("checks", checks)):
            if value not in ("yes", "no"):
                raise ValueError(f"{name}={value!r}: must be yes or no")
        super().build(
            sender,
            between,
            receiver,
            names,
            bw,
            backup="no",
            flags_a=SIGNS if signs == "yes" else "",
            flags_b=CHECKS if checks == "yes" else "",
        )
        key = resources.files("lab7.topologies").joinpath("templates", KEY_FILE).read_text()
        server = self.nodeInfo("mail-a")
        self.setNodeInfo("mail-a", {**server, "files": {**server["files"], KEY_FILE: key}})
        mallory = self.addHost("mallory", ip=f"{MALLORY_ADDRESS}/16", resolver=LOCAL_A)
        domain = ALUMNI.rstrip(".")
        mta = f"lab7.services.mail.mta --domain {domain} --hostname {FORWARD.rstrip('.')} --accounts accounts"
        forward = self.addHost(
            "forward",
            ip=f"{FORWARD_ADDRESS}/16",
            names=[FORWARD.rstrip(".")],
            resolver=LOCAL_B,
            files={"accounts": f"bob => {BOB}\n"},
            serves=f"{mta} --maildirs maildirs --queue queue --listen 0.0.0.0 --port {SMTP_PORT}",
        )
        for host in (mallory, forward):
            self.addLink(host, "s0", delay=stranger)

    def name_plan(self, backup: bool) -> NamePlan:
        """Return the DNS zones of the topology mail, with the records of this topology added."""
        plan = mail_names(backup)
        more = {"example.org.": PUBLISHED, "example.com.": (Record(ALUMNI, "MX", f"10 {FORWARD}"),)}
        zones = [replace(zone, records=zone.records + more.get(zone.origin, ())) for zone in plan.zones.values()]
        return NamePlan("mail-forgery", {**plan.addresses, FORWARD: [FORWARD_ADDRESS]}, zones)


TRY = (
    "alice dig TXT _dmarc.example.org",
    f"mallory swaks --server {ADDRESSES['mail.example.com.']} --from {ALICE} --to {BOB}",
    f"mallory swaks --server {ADDRESSES['mail.example.com.']} --from news@{NEWS} --to {BOB}",
    f"alice swaks {SUBMITS} --auth-password {PASSWORDS['alice']} --from {ALICE} --to {FORWARDED}",
    f"bob curl -sS 'imap://bob:{PASSWORDS['bob']}@mail.example.com/INBOX;MAILINDEX=1;SECTION=HEADER'",
)
topos = {"mail-forgery": MailForgeryTopo}
