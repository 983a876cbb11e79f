"""IMAP server for Maildirs (IMAP4rev1, RFC 3501; IMAP4rev2, RFC 9051), with the extensions listed below.

    $ python -m lab7.services.mail.imap --maildirs maildirs --accounts accounts --domain example.com --port 1143
    READY imap 127.0.0.1:1143 [::1]:1143

    S: * OK [CAPABILITY IMAP4rev1 ...] lab7 ready.
    C: a LOGIN alice secret
    S: a OK [CAPABILITY IMAP4rev1 ...] Logged in.
    C: b SELECT INBOX
    S: * 3 EXISTS
    S: ...
    S: b OK [READ-WRITE] Selected.
    C: c FETCH 2 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])

Extensions: IDLE (RFC 2177), NAMESPACE (2342), ID (2971), CHILDREN (3348), MULTIAPPEND (3502), BINARY (3516), UNSELECT
(3691), UIDPLUS (4315), CATENATE (4469), ESEARCH (4731), SASL-IR (4959), COMPRESS=DEFLATE (4978), WITHIN (5032), ENABLE
(5161), SEARCHRES (5182), I18NLEVEL=1 (5255), SORT, THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (5256), LIST-EXTENDED
(5258), CONTEXT=SEARCH and ESORT (5267), NOTIFY (5465), URL-PARTIAL (5550), LIST-STATUS (5819), SORT=DISPLAY (5957),
SPECIAL-USE (6154), MOVE (6851), CONDSTORE and QRESYNC (7162), LITERAL+ (7888), STATUS=SIZE (8438), OBJECTID (8474),
SAVEDATE (8514), PREVIEW (8970), and STARTTLS if the server has a certificate. After ENABLE IMAP4rev2 (9051) the server
sends ESEARCH instead of SEARCH responses, UTF-8 instead of modified UTF-7, and no RECENT responses. Left out: URLAUTH
(4467), QUOTA (9208), METADATA (5464), ACL (4314).
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve IMAP until SIGTERM; return the exit status."""
    # Import the program here, so that an import of the package loads neither sockets nor an event loop.
    return int(import_module("lab7.services.mail.imap.__main__").main(argv))
