"""Generator of test messages, well-formed and malformed, from a seed."""

from __future__ import annotations

import base64
import quopri
from email.header import Header
from random import Random

WORDS = [
    "meeting",
    "report",
    "budget",
    "lunch",
    "Grüße",
    "über",
    "naïve",
    "café",
    "straße",
    "東京",
    "hello",
    "world",
    "draft",
    "invoice",
    "RE",
    "FYI",
    "urgent",
]
NAMES = ("Ann Example", "Bob O'Neill", "Zoë Müller", "山田太郎", "J. R. Smith", "Doe, Jane", "", 'The "Boss"', "Dr. No")
HOSTS = ("example.com", "mail.example.org", "[192.0.2.1]", "xn--bcher-kva.example")
LOCAL_PARTS = ("ann", "bob.jones", "x+tag", '"odd one"')
CHARSETS = ("utf-8", "iso-8859-1", "us-ascii", "windows-1252", "iso-2022-jp", "unknown-8bit")
ENCODINGS = ("7bit", "8bit", "base64", "quoted-printable", "BASE64", "Quoted-Printable")
DATES = (
    "Mon, 14 Jun 2010 10:20:30 +0200",
    "1 Jan 2001 00:00:00 GMT",
    "Fri, 31 Dec 1999 23:59:59 -1200 (comment)",
    "Tue, 5 Mar 24 08:00:00 +0000",
)


class MessageGenerator:
    """Generates messages; the same seed gives the same messages."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._boundaries = 0

    def message(self, depth: int = 0) -> bytes:
        """Return a message with CRLF line endings."""
        fields = self._fields()
        kind, content = self.part(depth)
        self.random.shuffle(fields)
        if self.random.random() < 0.9:
            fields.append("MIME-Version: 1.0")
        return b"\r\n".join([*(one.encode("utf-8") for one in fields), *kind, b"", content])

    def _fields(self) -> list[str]:
        chance = self.random.random
        fields = [f"From: {self.addresses(1)}", f"Date: {self.random.choice(DATES)}"]
        fields.append(f"Subject: {self.subject()}")
        fields.append(f"To: {self.addresses(self.random.randint(1, 3))}")
        if chance() < 0.3:
            fields.append(f"Cc: {self.addresses(2)}")
        if chance() < 0.2:
            fields.append(f"Reply-To: {self.addresses(1)}")
        if chance() < 0.2:
            fields.append(f"Sender: {self.addresses(1)}")
        if chance() < 0.7:
            fields.append(f"Message-ID: <{self.random.getrandbits(60):x}@example.com>")
        if chance() < 0.4:
            fields.append(f"In-Reply-To: <{self.random.getrandbits(30):x}@example.com>")
        if chance() < 0.5:
            fields.append("Received: from a.example by b.example with SMTP;\r\n\tMon, 14 Jun 2010 10:20:30 +0200")
        if chance() < 0.2:
            fields.append("X-Folded: one\r\n two\r\n\tthree")
        return fields

    def subject(self) -> str:
        """Return a subject: plain, encoded, folded, or in raw octets."""
        text = " ".join(self.random.choices(WORDS, k=self.random.randint(0, 6)))
        way = self.random.randrange(4)
        if way == 0:
            return text
        if way == 1:
            return Header(text, "utf-8", maxlinelen=60).encode(linesep="\r\n")
        if way == 2:
            return (
                "=?iso-8859-1?q?" + quopri.encodestring("Grüße aus Köln".encode("latin-1"), header=True).decode() + "?="
            )
        return text.replace(" ", "\r\n  ") or "(none)"

    def addresses(self, count: int) -> str:
        """Return an address list in one of the forms of RFC 5322."""
        return ", ".join(self.address() for _ in range(count))

    def address(self) -> str:
        """Return an address or a group."""
        spec = f"{self.random.choice(LOCAL_PARTS)}@{self.random.choice(HOSTS)}"
        name = self.random.choice(NAMES)
        way = self.random.randrange(8)
        if way == 0:
            return spec
        if way == 1:
            return f"{spec} (A comment)"
        if way == 2:
            return f"friends: {spec}, <bob@example.com>;"
        if way == 3:
            return "undisclosed-recipients:;"
        if way == 4:
            return f"{Header(name or 'Ünï', 'utf-8').encode()} <{spec}>"
        if way == 5 and name:
            return '"' + name.replace('"', '\\"') + f'" <{spec}>'
        if way == 6:
            return f"<{spec}>"
        return f"Ann Example\r\n <{spec}>"

    def part(self, depth: int) -> tuple[list[bytes], bytes]:
        """Return (the Content- fields, the body) of a part."""
        draw = self.random.random()
        if depth < 4 and draw < 0.4:
            return self._multipart(depth)
        if depth < 4 and draw < 0.5:
            return [b"Content-Type: message/rfc822"], self.message(depth + 1)
        if draw < 0.7:
            return self._attachment()
        return self._text()

    def _text(self) -> tuple[list[bytes], bytes]:
        text = "\r\n".join(
            " ".join(self.random.choices(WORDS, k=self.random.randint(0, 9))) for _ in range(self.random.randint(0, 8))
        )
        if self.random.random() < 0.7:
            text += "\r\n"
        charset = self.random.choice(CHARSETS)
        try:
            octets = text.encode(charset, "replace")
        except LookupError:
            octets = text.encode("utf-8")
        if self.random.random() < 0.15:
            return [], octets
        encoding = self.random.choice(ENCODINGS)
        kind = self.random.choice(("text/plain", "text/html", "TEXT/Plain", "text/calendar"))
        quoted = self.random.choice((charset, f'"{charset}"'))
        extra = self.random.choice(("", "; format=flowed", '; name="a b.txt"', ";\r\n\tdelsp=yes"))
        fields = [f"Content-Type: {kind}; charset={quoted}{extra}", f"Content-Transfer-Encoding: {encoding}"]
        if self.random.random() < 0.2:
            fields.append("Content-Language: en, de")
        return [one.encode() for one in fields], self._encoded(octets, encoding)

    @staticmethod
    def _encoded(octets: bytes, encoding: str) -> bytes:
        if encoding.lower() == "base64":
            return base64.encodebytes(octets).replace(b"\n", b"\r\n")
        if encoding.lower() == "quoted-printable":
            return quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return octets

    def _attachment(self) -> tuple[list[bytes], bytes]:
        name = self.random.choice(("photo.jpg", "Übersicht.pdf", "a b.bin"))
        kind = self.random.choice(("image/jpeg", "application/octet-stream", "application/pdf", "audio/x-wav"))
        quoted = Header(name, "utf-8").encode() if not name.isascii() else name
        fields = [
            f'Content-Type: {kind}; name="{quoted}"',
            "Content-Transfer-Encoding: base64",
            f'Content-Disposition: {self.random.choice(("attachment", "inline"))}; filename="{quoted}"; size=42',
        ]
        if self.random.random() < 0.5:
            fields.append(f"Content-ID: <{self.random.getrandbits(40):x}@cid>")
        if self.random.random() < 0.3:
            fields.append("Content-Description: a picture of something")
        if self.random.random() < 0.2:
            fields.append("Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==")
        if self.random.random() < 0.2:
            fields.append("Content-Location: http://example.com/a.jpg")
        return [one.encode() for one in fields], self._encoded(self.random.randbytes(200), "base64")

    def _multipart(self, depth: int) -> tuple[list[bytes], bytes]:
        self._boundaries += 1
        # A boundary may be a prefix of another.
        boundary = f"b{'=' * self.random.randint(0, 2)}{self._boundaries}".encode()
        subtype = self.random.choice((b"mixed", b"alternative", b"related", b"Signed"))
        body = self.random.choice((b"", b"This is a message of several parts.\r\n"))
        for _ in range(self.random.choice((0, 1, 2, 2, 3))):
            fields, content = self.part(depth + 1)
            body += b"--" + boundary + b"\r\n" + b"".join(one + b"\r\n" for one in fields) + b"\r\n" + content + b"\r\n"
        if self.random.random() < 0.85:
            body += b"--" + boundary + b"--\r\n" + self.random.choice((b"", b"\r\n", b"The end.\r\n"))
        quoted = b'"' + boundary + b'"'
        return [b"Content-Type: multipart/" + subtype + b";\r\n boundary=" + quoted], body
