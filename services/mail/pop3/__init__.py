"""POP3 server for the INBOXes of Maildirs (RFC 1939).

    $ python -m lab7.services.mail.pop3 --maildirs maildirs --accounts accounts --domain example.com --port 1110
    READY pop3 127.0.0.1:1110 [::1]:1110

    S: +OK lab7 ready. <77.1795442557@lab7>
    C: USER alice
    S: +OK Send PASS.
    C: PASS secret
    S: +OK 2 messages (320 octets).
    C: RETR 1
    S: +OK 120 octets.
    S: ...
    S: .
    C: DELE 1
    S: +OK Marked.
    C: QUIT
    S: +OK 1 messages removed.

Optional commands and extensions: APOP, TOP and UIDL (RFC 1939), CAPA, RESP-CODES and PIPELINING (2449), AUTH PLAIN
(5034), AUTH-RESP-CODE (3206), and STLS (2595) if the server has a certificate. Left out: LAST, removed by RFC 1725.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve POP3 until SIGTERM; return the exit status."""
    # Import the program here, so that an import of the package loads neither sockets nor an event loop.
    return int(import_module("lab7.services.mail.pop3.__main__").main(argv))
