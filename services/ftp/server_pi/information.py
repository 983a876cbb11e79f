"""Informational commands SYST, STAT, HELP, NOOP, SITE (RFC 959 section 4.1.3), FEAT and OPTS (RFC 2389)."""

from lab7.services.ftp.files.listing import FACTS, Style, parse_facts
from lab7.services.ftp.files.paths import format_path
from lab7.services.ftp.replies import columns, quoted
from lab7.services.ftp.server_pi.actions import Describe, Lines, Result
from lab7.services.ftp.server_pi.file_commands import change_mode
from lab7.services.ftp.server_pi.session import ServerSession
from lab7.services.ftp.server_pi.transfer_commands import target_of_listing


def system(session: ServerSession, _: str) -> None:
    """Handle SYST: reply with a system name (Assigned Numbers), from which clients infer the format of LIST."""
    session.reply(215, "UNIX Type: L8")


def no_operation(session: ServerSession, _: str) -> None:
    """Handle NOOP: reply 200 without any effect."""
    session.reply(200, "NOOP ok.")


def status(session: ServerSession, argument: str) -> None:
    """Handle STAT: reply with the session's status or, for a path, a listing (212 directory, 213 file)."""
    if not argument:
        session.reply(211, "Status:", *_status_lines(session), "End.")
        return
    if not session.is_logged_in:
        session.reply(530, "Please login with USER and PASS.")
        return
    path, pattern = target_of_listing(session, argument)

    def described(result: Result) -> None:
        if isinstance(result, Lines):
            code = 212 if result.is_directory else 213
            session.reply(code, f"Status of {format_path(path)}:", *(" " + line for line in result.lines), "End.")

    session.attempt(Describe(path, pattern, Style.LONG), described)


def help_text(session: ServerSession, argument: str) -> None:
    """Handle HELP: reply with a list of all commands, or with the syntax of one command."""
    verb = session.table.get(argument.strip().upper().encode("utf-8", "surrogateescape"))
    if verb is not None:
        session.reply(214, f"Syntax: {argument.strip().upper()} {verb.syntax}".rstrip())
    elif argument:
        session.reply(501, "Unknown command.")
    else:
        names = [name.decode("ascii") for name in session.table]
        session.reply(214, "The following commands are recognised:", *columns(names), "End.")


def site(session: ServerSession, argument: str) -> None:
    """Handle SITE with its two subcommands HELP and CHMOD."""
    name, _, rest = argument.partition(" ")
    if name.upper() == "CHMOD":
        change_mode(session, rest)
    elif name.upper() == "HELP":
        session.reply(214, "The following SITE commands are recognised:", " CHMOD HELP", "End.")
    else:
        session.reply(504, "Unknown SITE command: use CHMOD or HELP.")


def features(session: ServerSession, _: str) -> None:
    """Handle FEAT: list the extensions (RFC 2389 section 3).

    In the line MLST, a star marks each enabled fact (RFC 3659 section 7.8).
    """
    facts = "".join(f"{fact}{'*' if fact in session.facts else ''};" for fact in FACTS)
    lines = ("EPRT", "EPSV", "MDTM", "MFMT", f"MLST {facts}", "REST STREAM", "SIZE", "TVFS", "UTF8")
    session.reply(211, "Features:", *(" " + line for line in lines), "End")


def options(session: ServerSession, argument: str) -> None:
    """Handle OPTS (RFC 2389 section 4): accept UTF8, which is always on, and select the facts of MLST."""
    name, _, rest = argument.partition(" ")
    if name.upper() == "UTF8":
        # draft-ietf-ftpext-utf-8-option: OPTS UTF8 ON is confirmed; RFC 2640 defines no OFF.
        on = rest.strip().upper() in ("", "ON")
        session.reply(*((200, "UTF-8 is enabled.") if on else (501, "UTF-8 is always enabled.")))
    elif name.upper() == "MLST":
        session.facts = parse_facts(rest)
        # RFC 3659 section 7.9: the reply has no space after OPTS if no fact follows.
        session.reply(200, " ".join(("MLST OPTS", "".join(f"{fact};" for fact in session.facts))).rstrip())
    else:
        session.reply(501, "Unknown option: use UTF8 or MLST.")


def _status_lines(session: ServerSession) -> list[str]:
    user = f"Logged in as {session.user}" if session.is_logged_in else "Not logged in"
    lines = [
        f" {session.connection_info.name}, connected from {session.connection_info.peer_host}",
        f" {user}",
        f" Directory {quoted(format_path(session.directory))}",
        f" TYPE {session.data_type.value}, STRU F, MODE S",
    ]
    if session.is_transferring:
        lines.append(" Transfer in progress")
    elif session.is_passive:
        lines.append(" Waiting for a data connection on a passive port")
    elif session.target is not None:
        lines.append(f" Data port: {session.target.host} port {session.target.port}")
    return lines
