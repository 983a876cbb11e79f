r"""Mail user agent for the command line: composition, submission and retrieval of messages (RFC 5598 section 2.1).

    $ python -m lab7.services.mail.agent compose --from alice@example.org --to bob@example.com --subject 'A picture' \
          --text 'Look!' --attach picture.jpg > message.eml
    $ python -m lab7.services.mail.agent send --server mail.example.org --port 587 --user alice --password secret \
          message.eml
    $ python -m lab7.services.mail.agent read --imap mail.example.com --user bob --password secret list
    $ python -m lab7.services.mail.agent read --imap mail.example.com --user bob --password secret show 1
    $ python -m lab7.services.mail.agent read --pop3 mail.example.com --user bob --password secret --delete \
          save 1 folder

The last command saves message 1 and its attachments as files in the directory `folder`, and then deletes the message on
the server. In Python, `composition.compose_message(draft, date_s, message_id)` returns the octets of a message,
`submission.send(server, [prepare(content)])` sends it, and `mailbox_client.fetch_messages(access, numbers)` retrieves
messages. Messages are encoded as ASCII by MIME (RFC 2045 to 2047, 2183, 2231); submission uses smtplib, retrieval uses
poplib and imaplib.
"""

from importlib import import_module


def main(argv: list[str] | None = None) -> int:
    """Run one command of the mail user agent (compose, send, read); return the exit status."""
    # Import the program here, so that an import of the package loads neither sockets nor an event loop.
    return int(import_module("lab7.services.mail.agent.command").main(argv))
