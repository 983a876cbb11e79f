r"""Webmail server: a mail user agent with HTML pages, on which users read and send mail in a browser.

    $ python -m lab7.services.mail.webmail --maildirs maildirs --accounts accounts --domain example.com \
          --submission 127.0.0.1:587 --port 8025
    READY webmail 127.0.0.1:8025 [::1]:8025

Webmail reads the same Maildirs as the POP3 and IMAP servers. Messages are sent by SMTP to the submission server, with
AUTH by the user's own password. Pages are HTML without scripts.

Security measures, by module:
    sessions.py             a random session token in a cookie, which also encrypts the stored password
    login.py                rate limit on failed logins
    csrf.py                 cross-site request forgery: Origin check, and a form token per session
    views/safe_html.py      sanitised HTML of messages, clipped to an element of the page (no overlay)
    pages.py                Content-Security-Policy: no scripts; remote pictures only of a message for which the user
                            has permitted them; a sandbox for pages with the HTML of a message
    views/attachments.py    attachments are downloads, never documents of this origin

A page handler is a function of a UserPageRequest, or of a PageRequest if no user is logged in. A handler that needs I/O
(check a password, send a message) yields requests, which program.py answers; routes.py has all URL paths. Every form
submitted in a login session is answered by a redirect (Post/Redirect/Get), and errors are shown on the next page: Back
and Reload in the browser send no form again. Left out: filters, address book, composing HTML.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Serve webmail until SIGTERM; return the exit status."""
    # Import the program here, so that an import of the package loads neither sockets nor an event loop.
    return int(import_module("lab7.services.mail.webmail.program").main(argv))
