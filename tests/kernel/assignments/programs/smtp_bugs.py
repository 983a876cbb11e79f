"""Bugs of a student's SMTP server: the edits that make each, the stage that it fails, and its message."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.assignments.programs.bug import Bug

SERVER = Path(__file__).with_name("smtp_server.py")
BUGS = (
    Bug("lf", (('EOL = "\\r\\n"', 'EOL = "\\n"'),), "hello", ("ends in LF alone", "RFC 5321 section 2.3.8")),
    Bug(
        "hyphen",
        (('["-"] * (len(texts) - 1) + [" "]', '[" "] * len(texts)'),),
        "hello",
        ("a space behind the code, and more lines", "RFC 5321 section 4.2.1", "correct: 250-relay.student"),
    ),
    Bug(
        "rcpt-before-mail",
        (("        if self.sender is None:\n", "        self.sender = self.sender or ''\n        if False:\n"),),
        "envelope",
        ("250 to RCPT before MAIL", "RFC 5321 section 4.1.4", "correct: 503"),
    ),
    Bug(
        "rset",
        (("_rest: str) -> None:\n        self.reset()\n", "_rest: str) -> None:\n"),),
        "envelope",
        ("250 to RCPT behind RSET", "RFC 5321 section 4.1.1.5", "correct: 503"),
    ),
    Bug(
        "data-250",
        (('self.say(354, "end with a dot")', 'self.say(250, "end with a dot")'),),
        "relay",
        ("250 to DATA", "RFC 5321 section 4.3.2", "correct: 354"),
    ),
    Bug(
        "one-recipient",
        (("self.recipients.append(found[1])", "self.recipients = [found[1]]"),),
        "relay",
        ("handed on to 1 of 3 recipients", "RFC 5321 section 3.3", "correct: RCPT TO:<"),
    ),
    Bug(
        "dots",
        (('lines.append(line[1:] if line.startswith(".") else line)', "lines.append(line)"),),
        "transparency",
        ("line 5 of the message is another", "RFC 5321 section 4.5.2", "correct: .."),
    ),
    Bug(
        "line-length",
        (("LINE_MAX = 100_000", "LINE_MAX = 512"),),
        "transparency",
        ("500 to mail data", "RFC 5321 section 4.5.3.1.6", "correct: 250"),
    ),
    Bug(
        "no-received",
        (('"lines": [*trace, *lines]', '"lines": lines'),),
        "trace",
        ("no Received field at the top", "RFC 5321 section 4.4", "correct: Received: from"),
    ),
    Bug(
        "7bit",
        (('if any(one not in ("BODY=8BITMIME", "BODY=7BIT") for one in parameters):', "if parameters:"),),
        "eight-bit",
        ("555 to MAIL", "RFC 6152 section 2", "correct: 250"),
    ),
    Bug(
        "no-221",
        (('                self.say(221, "bye")\n', ""),),
        "closing",
        ("no reply to this (the server closed the connection", "RFC 5321 section 4.2"),
    ),
    Bug(
        "forgets",
        (
            (
                "self.wake = threading.Event()",
                "self.wake = threading.Event()\n        [path.unlink() for path in spool.iterdir()]",
            ),
        ),
        "robustness",
        ("250 to mail data that do not come", "killed behind this reply", "RFC 5321 section 6.1"),
    ),
    Bug(
        "lf-dot",
        (
            ('        while b"\\r\\n" not in self.data:', '        while b"\\n" not in self.data:'),
            (
                'self.data.partition(b"\\r\\n")\n        return line\n',
                'self.data.partition(b"\\n")\n        return line.rstrip(b"\\r")\n',
            ),
        ),
        "robustness",
        ("begins behind LF, a dot and LF", "RFC 5321 section 4.1.1.4"),
    ),
)
