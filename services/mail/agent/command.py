"""Command line of the mail user agent, with the commands compose, send and read."""

import argparse
import os
import secrets
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab7.services.faults import add_fault_flag
from lab7.services.mail.address import is_domain
from lab7.services.mail.agent import mailbox_client, submission
from lab7.services.mail.agent.composition import compose_message
from lab7.services.mail.agent.drafts import Attachment, ComposeError, Draft, parse_mailbox_list, parse_single_mailbox
from lab7.services.mail.agent.errors import AgentError
from lab7.services.mail.agent.limits import TIMEOUT_S
from lab7.services.mail.agent.terminal import attachment_lines, message_text, strip_controls
from lab7.services.mail.faults import AGENT_FAULTS, with_mime_faults
from lab7.services.mail.flags import seconds
from lab7.services.mail.message_content.contents import Contents
from lab7.services.mail.message_content.file_names import safe_file_name
from lab7.services.tls import Trust, client_context

EXIT_FAILED = 1
_STANDARD = "-"


def main(argv: list[str] | None = None) -> int:
    """Run the command in `argv`; return exit status 0, 1 on failure, 2 on a usage error."""
    options = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (AgentError, ComposeError) as error:
        # Error texts may quote a server's response, so remove control characters before printing.
        print(f"agent: {strip_controls(str(error))}", file=sys.stderr)
    except OSError as error:
        print(f"agent: {error.filename or 'input'}: {error.strerror or error}", file=sys.stderr)
    return EXIT_FAILED


def _compose(options: argparse.Namespace) -> int:
    sender = parse_single_mailbox(options.sender, "sender")
    draft = Draft(
        sender,
        parse_mailbox_list(", ".join(options.to)),
        options.subject,
        _read(options.file).decode("utf-8", "replace") if options.file is not None else options.text,
        cc=parse_mailbox_list(", ".join(options.cc)),
        attachments=[Attachment(path.name, path.read_bytes()) for path in options.attach],
        in_reply_to=options.in_reply_to,
        references=(options.in_reply_to,) if options.in_reply_to else (),
    )
    domain = sender.mailbox.domain if is_domain(sender.mailbox.domain) else "localhost"
    message_id = options.message_id or f"{secrets.token_hex(16)}@{domain}"
    content = compose_message(draft, time.time() if options.date is None else options.date, message_id)
    sys.stdout.buffer.write(with_mime_faults(content, options.fault) if options.fault else content)
    sys.stdout.buffer.flush()
    return 0


def _send(options: argparse.Namespace) -> int:
    server = submission.Server(
        options.server, options.port, options.user, _password(options), _tls(options), options.hello, options.timeout
    )
    messages = [submission.prepare(_read(path), options.sender, options.to) for path in options.messages]
    refused = submission.send(server, messages)
    for name, reply in refused.items():
        print(f"agent: {name} was refused by the server: {strip_controls(str(reply))}", file=sys.stderr)
    return EXIT_FAILED if refused else 0


def _read_mail(options: argparse.Namespace) -> int:
    protocol = "pop3" if options.pop3 is not None else "imap"
    access = mailbox_client.Access(
        protocol,
        options.pop3 or options.imap,
        options.port or mailbox_client.PORTS[protocol],
        options.user,
        _password(options),
        options.folder,
        _tls(options),
        options.timeout,
    )
    with mailbox_client.open_mailbox(access) as mailbox:
        options.action(options, mailbox)
    return 0


def _list(_: argparse.Namespace, mailbox: mailbox_client.Mailbox) -> None:
    for summary in mailbox.list_messages():
        print(summary.line)


def _show(options: argparse.Namespace, mailbox: mailbox_client.Mailbox) -> None:
    content = mailbox.message(options.number)
    if options.source:
        sys.stdout.buffer.write(content)
    else:
        print(message_text(content), end="")
    _finish(options, mailbox)


def _save(options: argparse.Namespace, mailbox: mailbox_client.Mailbox) -> None:
    with _writing_to(options.directory):
        options.directory.mkdir(parents=True, exist_ok=True)
    if options.part:
        content = mailbox.part(options.number, options.part)
        with _writing_to(options.directory):
            _write(options.directory, safe_file_name(f"message-{options.number}-part-{options.part}"), content)
    else:
        _save_message(options, mailbox.message(options.number))
    _finish(options, mailbox)


def _save_message(options: argparse.Namespace, content: bytes) -> None:
    contents = Contents(content)
    with _writing_to(options.directory):
        _write(options.directory, f"message-{options.number}.eml", content)
        for leaf in contents.files:
            _write(options.directory, leaf.file_name, contents.decoded(leaf))
    for line in attachment_lines(contents):
        print(line)


def _finish(options: argparse.Namespace, mailbox: mailbox_client.Mailbox) -> None:
    """Delete the message on the server if --delete is set, after the message has been shown or saved completely."""
    if options.delete:
        mailbox.delete(options.number)


def _write(directory: Path, name: str, content: bytes) -> None:
    """Write a new file `name` in the directory; if the name is taken, write `stem-2`, `stem-3` and so on instead."""
    stem, ending = os.path.splitext(name)
    for number in range(1, 10_000):
        path = directory / (name if number == 1 else f"{stem}-{number}{ending}")
        try:
            with open(path, "xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        return
    raise AgentError(f"{directory} already has {name} and its numbered variants: name another directory.")


@contextmanager
def _writing_to(directory: Path) -> Iterator[None]:
    """Convert an OSError in a `with` block to an AgentError about the file, which is no connection error."""
    try:
        yield
    except OSError as error:
        raise AgentError(f"cannot write to {directory}: {error.strerror or error}.") from error


def _read(path: str) -> bytes:
    return sys.stdin.buffer.read() if path == _STANDARD else Path(path).read_bytes()


def _password(options: argparse.Namespace) -> str:
    """Return the password given by --password or, to keep it out of the process list, in the file --password-file."""
    if options.password_file is not None:
        return str(options.password_file.read_text(encoding="utf-8")).rstrip("\r\n")
    if options.user and not options.password:
        raise AgentError(f"No password for {options.user}: give --password or --password-file.")
    return str(options.password)


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not options.starttls:
        return None
    authorities = None if options.authorities is None else str(options.authorities)
    try:
        return client_context(Trust(authorities, options.insecure), "smtp")
    except OSError as error:
        raise AgentError(f"cannot read {authorities}: {error.strerror or error}.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.mail.agent", description="Compose, send and read mail."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compose(commands.add_parser("compose", help="write a message to standard output"))
    _add_send(commands.add_parser("send", help="send messages by SMTP"))
    _add_read(commands.add_parser("read", help="list, show and save messages by IMAP or POP3"))
    return parser


def _add_compose(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_compose)
    parser.add_argument("--from", dest="sender", required=True, metavar="MAILBOX", help="mailbox of the sender (From)")
    parser.add_argument(
        "--to", action="append", required=True, metavar="MAILBOX", help="mailbox of a recipient (To, repeatable)"
    )
    parser.add_argument(
        "--cc", action="append", default=[], metavar="MAILBOX", help="mailbox of a copy recipient (Cc, repeatable)"
    )
    parser.add_argument("--subject", default="", metavar="TEXT", help="text of the Subject field")
    body = parser.add_mutually_exclusive_group()
    body.add_argument("--text", default="", metavar="TEXT", help="text of the message")
    body.add_argument("--file", metavar="FILE", help="read the text from FILE, in UTF-8; - is standard input")
    parser.add_argument(
        "--attach", action="append", type=Path, default=[], metavar="FILE", help="file to attach (repeatable)"
    )
    parser.add_argument("--in-reply-to", default="", metavar="ID", help="Message-ID of the message replied to, in <>")
    parser.add_argument(
        "--date", type=float, metavar="S", help="time of the Date field in seconds since 1970 UTC (default: now)"
    )
    parser.add_argument("--message-id", metavar="ID", help="Message-ID without <> (default: random)")
    add_fault_flag(parser, AGENT_FAULTS)


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_send)
    parser.add_argument("--server", required=True, metavar="HOST", help="host of the submission server")
    parser.add_argument("--port", type=int, default=587, metavar="N", help="port of the server (default: %(default)s)")
    parser.add_argument(
        "--from", dest="sender", default="", metavar="MAILBOX", help="envelope sender, MAIL FROM (default: From field)"
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="MAILBOX",
        help="envelope recipient, RCPT TO (repeatable; default: To, Cc, Bcc fields)",
    )
    parser.add_argument("--hello", default="", metavar="NAME", help="host name in EHLO (default: the host's name)")
    _add_log_in(parser, required=False)
    parser.add_argument("messages", nargs="+", metavar="FILE", help="message to send (RFC 5322); - is standard input")


def _add_read(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_read_mail)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--imap", metavar="HOST", help="read a mailbox of the IMAP server HOST")
    server.add_argument("--pop3", metavar="HOST", help="read the mailbox of the POP3 server HOST")
    parser.add_argument("--port", type=int, metavar="N", help="port of the server (default: 143 or 110)")
    parser.add_argument(
        "--folder", default="INBOX", metavar="NAME", help="IMAP mailbox to select (default: %(default)s)"
    )
    _add_log_in(parser, required=True)
    parser.set_defaults(delete=False)
    _add_keeping(parser)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="list messages, one per line").set_defaults(action=_list)
    show = actions.add_parser("show", help="show a message as text")
    show.set_defaults(action=_show)
    show.add_argument("number", type=_number, metavar="N")
    _add_keeping(show)
    show.add_argument("--source", action="store_true", help="show the message source unchanged")
    save = actions.add_parser("save", help="save a message and its attachments to a directory")
    save.set_defaults(action=_save)
    save.add_argument("number", type=_number, metavar="N")
    save.add_argument("directory", type=Path, metavar="DIR")
    _add_keeping(save)
    save.add_argument(
        "--part",
        default="",
        metavar="SECTION",
        help="save only this MIME part, such as 2.1; IMAP transfers only this part",
    )


def _add_keeping(parser: argparse.ArgumentParser) -> None:
    """Add the options --keep and --delete to an argument parser.

    Both the parser of `read` and the parsers of its actions (show, save) get the options, so that users can write them
    before or after the action.
    """
    keeping = parser.add_mutually_exclusive_group()
    nothing = argparse.SUPPRESS
    keeping.add_argument(
        "--keep", dest="delete", action="store_false", default=nothing, help="keep messages on the server (default)"
    )
    keeping.add_argument(
        "--delete", action="store_true", default=nothing, help="delete messages after they are shown or saved"
    )


def _add_log_in(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument("--user", required=required, default="", metavar="NAME", help="user name for login")
    password = parser.add_mutually_exclusive_group()
    password.add_argument(
        "--password", default="", metavar="TEXT", help="password for login (visible in the process list)"
    )
    password.add_argument("--password-file", type=Path, metavar="FILE", help="read the password from FILE")
    parser.add_argument("--starttls", action="store_true", help="start TLS (STARTTLS, STLS) before login")
    parser.add_argument(
        "--authorities", type=Path, metavar="FILE", help="file of CA certificates to verify the server's certificate"
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_S,
        metavar="S",
        help="time-out for each response of the server in seconds (default: %(default)s)",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 0xFFFFFFFF):
        raise argparse.ArgumentTypeError(f"{text!r} is not a message number")
    return int(text)
