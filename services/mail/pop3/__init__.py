"""POP3: a client takes its messages home (RFC 1939).

    $ python -m services.mail.pop3 --maildirs maildirs --accounts accounts --domain example.com --port 1110
    READY pop3 127.0.0.1:1110 [::1]:1110

    S: +OK lab7 is ready. <77.1795442557@lab7>
    C: USER alice
    S: +OK The password, please.
    C: PASS secret
    S: +OK 2 messages (320 octets).
    C: RETR 1
    S: +OK 120 octets.
    S: ...
    S: .
    C: DELE 1
    S: +OK Marked.
    C: QUIT
    S: +OK Removed 1 message.

With APOP, TOP and UIDL of the same RFC, CAPA (2449), RESP-CODES (2449), AUTH PLAIN (5034), AUTH-RESP-CODE (3206),
PIPELINING (2449), and STLS (2595) where there is a certificate. Left out: LAST, which RFC 1725 took away.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve POP3 until SIGTERM; returns the exit status."""
    # Only who runs the program imports what touches the world; the package's cores do not.
    return int(import_module("services.mail.pop3.__main__").main(argv))
