"""Webmail: a user agent whose screen is a browser, so that mail is read and written by HTTP (claim M3).

    $ python -m services.mail.webmail --maildirs maildirs --accounts accounts --domain example.com \\
          --submission 127.0.0.1:587 --port 8025
    READY webmail 127.0.0.1:8025 [::1]:8025

It works on the same Maildirs as the POP3 and IMAP servers, so that all three see one mailbox; what is written leaves by
SMTP to the submission server, with AUTH by the user's own password. Pages are HTML without scripts.

What keeps one user's mail from others, and from the messages themselves:
    sessions.py     a random token in a cookie; of the password only what that token opens again
    attempts.py     guessing passwords is slow
    guard.py        a form counts only where this site's own page sent it: Origin, and a token of the session
    safe_html.py    of a message's HTML only what shows text and its own pictures, in a frame where nothing runs
    pages.py        a Content-Security-Policy without scripts, and pictures from here alone
    parts.py        what came with a message is downloaded, never opened as a page of this site

A page's handler is a function of a Visit. What only the world can do (check a password, send a message, let others have
a turn) it yields, and the shell (serving.py) answers; table.py has all addresses. Left out: drafts, filters, an address
book, HTML in what is written.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve webmail until SIGTERM; returns the exit status."""
    # Only who runs the program imports what touches the world; the package's cores do not.
    return int(import_module("services.mail.webmail.program").main(argv))
