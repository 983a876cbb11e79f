"""IMAP4rev1: messages are handled where they are stored (RFC 3501).

    $ python -m services.mail.imap --maildirs maildirs --accounts accounts --domain example.com --port 1143
    READY imap 127.0.0.1:1143 [::1]:1143

    S: * OK [CAPABILITY IMAP4rev1 ...] lab7 is ready.
    C: a LOGIN alice secret
    S: a OK [CAPABILITY IMAP4rev1 ...] Logged in.
    C: b SELECT INBOX
    S: * 3 EXISTS
    S: ...
    S: b OK [READ-WRITE] Selected.
    C: c FETCH 2 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])

Extensions: IDLE (RFC 2177), NAMESPACE (2342), ID (2971), MULTIAPPEND (3502), UNSELECT (3691), UIDPLUS (4315), ESEARCH
(4731), SASL-IR (4959), CHILDREN (3348), MOVE (6851), LITERAL+ (7888), STARTTLS where there is a certificate. Left out:
CONDSTORE and QRESYNC, which need a history of changes beside the Maildir; SORT and THREAD; IMAP4rev2.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve IMAP until SIGTERM; returns the exit status."""
    # Only who runs the program imports what touches the world; the package's cores do not.
    return int(import_module("services.mail.imap.__main__").main(argv))
