"""FTP client (RFC 959) that runs the commands of its command line and reports times, sizes and digests of transfers.

    $ python -m lab7.services.ftp.client 127.0.0.1 --port 2121 'get a.txt' 'put b.txt'
    $ python -m lab7.services.ftp.client 127.0.0.1 --user ann --password secret --active --resume --json 'put big.bin'

The command `help` prints the list of commands. With --resume, get continues at the size of the local file, and put at
the size that SIZE returns for the remote one. TYPE A is used for listings only.
"""

import argparse
import asyncio
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lab7.services.faults import add_fault_flag
from lab7.services.flags import port, positive_seconds
from lab7.services.ftp.faults import CLIENT_FAULTS
from lab7.services.ftp.grammar import DataType
from lab7.services.ftp.limits import RECEIVE_OCTETS
from lab7.services.ftp.replies import printable
from lab7.services.ftp.user.report import SessionReport
from lab7.services.ftp.user.user_dtp import ClientSettings, UserAgent
from lab7.services.ftp.user.user_pi import ReplyError

DEFAULT_PORT = 21
EXIT_FAILED = 1
_LISTINGS = {"ls": "LIST", "nlst": "NLST", "mlsd": "MLSD"}
_NAMES = {"cd": "CWD", "mkdir": "MKD", "delete": "DELE"}
# Command -> (arguments, optional ones in brackets; purpose), for --help.
_USAGE = {
    "get": ("REMOTE [LOCAL]", "retrieve a file; a LOCAL of - is standard output"),
    "put": ("LOCAL [REMOTE]", "store a file"),
    "ls": ("[PATH]", "list a directory (LIST)"),
    "nlst": ("[PATH]", "list the names in a directory (NLST)"),
    "mlsd": ("[PATH]", "list the facts of the files in a directory (MLSD)"),
    "cd": ("PATH", "change the directory"),
    "mkdir": ("PATH", "create a directory"),
    "delete": ("PATH", "delete a file"),
    "help": ("[COMMAND]", "print the commands, or one of them"),
}


async def run_commands(agent: UserAgent, commands: list[list[str]], resume: bool, quiet: bool) -> None:
    """Run the client's commands (get, put, ls ...) in the order given; raises ReplyError, TimeoutError and OSError."""
    for name, *words in commands:
        if name == "get":
            await _get(agent, words[0], words[-1] if len(words) > 1 else Path(words[0]).name, resume)
        elif name == "put":
            await _put(agent, Path(words[0]), words[-1] if len(words) > 1 else Path(words[0]).name, resume)
        elif name == "help":
            print("\n".join(_usage_lines(words or list(_USAGE))))
        elif name in _LISTINGS:
            show = (lambda _: None) if quiet else _show
            await agent.listing(_LISTINGS[name], words[0] if words else "", show)
        else:
            await agent.command(_NAMES[name], words[0])


def _usage_lines(names: Iterable[str]) -> list[str]:
    return [f"{name + ' ' + _USAGE[name][0]:<22} {_USAGE[name][1]}" for name in names]


def _show(octets: bytes) -> None:
    """Write octets of a listing to standard output; on a terminal, replace control characters in file names."""
    if sys.stdout.isatty():
        octets = printable(octets.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(octets)


async def _get(agent: UserAgent, remote: str, local: str, resume: bool) -> None:
    if local == "-":
        await agent.retrieve(remote, sys.stdout.buffer.write)
        return
    offset = os.path.getsize(local) if resume and os.path.exists(local) else 0
    with open(local, "ab" if offset else "wb") as file:
        await agent.retrieve(remote, file.write, offset)


async def _put(agent: UserAgent, local: Path, remote: str, resume: bool) -> None:
    offset = 0
    if resume:
        # SIZE fails if the remote file does not exist; the upload then starts at offset 0.
        with suppress(ReplyError):
            await agent.command("TYPE", "I")
            offset = int((await agent.command("SIZE", remote, codes=(213,))).lines[-1])
    offset = min(offset, local.stat().st_size)
    await agent.store(remote, _pieces(local, offset), offset)


def _pieces(local: Path, offset: int) -> Iterator[bytes]:
    with open(local, "rb") as file:
        file.seek(offset)
        yield from iter(lambda: file.read(RECEIVE_OCTETS), b"")


def _command(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    name, arguments = (words[0], words[1:]) if words else ("", [])
    if name not in _USAGE or (name == "help" and not set(arguments) <= _USAGE.keys()):
        raise argparse.ArgumentTypeError(f"unknown command {text!r}: use {', '.join(_USAGE)}")
    wanted = _USAGE[name][0].split()
    required = sum(not word.startswith("[") for word in wanted)
    if not required <= len(arguments) <= len(wanted):
        raise argparse.ArgumentTypeError(f"invalid command {text!r}: the syntax is {name} {_USAGE[name][0]}")
    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.ftp.client",
        description="FTP client (RFC 959).",
        epilog="commands:\n  " + "\n  ".join(_usage_lines(_USAGE)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", metavar="HOST", help="name or address of the server")
    parser.add_argument(
        "commands",
        nargs="*",
        type=_command,
        metavar="COMMAND",
        help="FTP command with its arguments, in quotes, from the list below; repeatable",
    )
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, metavar="N", help="port of the server (default: 21)")
    parser.add_argument("--user", default="anonymous", metavar="NAME", help="user name (default: anonymous)")
    parser.add_argument("--password", default="guest@", metavar="P", help="password (default: guest@)")
    parser.add_argument(
        "--account", default="", metavar="A", help="account, the argument of ACCT, if the server requires one"
    )
    parser.add_argument("--active", action="store_true", help="use active mode (PORT) instead of passive mode (PASV)")
    parser.add_argument("--extended", action="store_true", help="use EPRT and EPSV instead of PORT and PASV")
    parser.add_argument(
        "--resume", action="store_true", help="resume transfers at the size of the incomplete file (REST)"
    )
    parser.add_argument("--json", action="store_true", help="print the report of the session as JSON, and no listings")
    parser.add_argument("--transcript", action="store_true", help="print commands and replies on standard error")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=ClientSettings().wait_s,
        metavar="S",
        help="timeout in seconds of each wait for the server (default: %(default)s)",
    )
    add_fault_flag(parser, CLIENT_FAULTS)
    return parser


async def _session(options: argparse.Namespace) -> SessionReport:
    data_type = DataType.ASCII if options.fault else DataType.IMAGE
    choices = ClientSettings(options.active, options.extended, data_type, options.timeout)
    show = (lambda line: print(printable(line), file=sys.stderr)) if options.transcript else (lambda _: None)
    agent = await UserAgent.connect(options.host, options.port, choices, show)
    try:
        connected_s = agent.now_s()
        await agent.greeting()
        greeting_s = agent.now_s()
        await agent.login(options.user, options.password, options.account)
        login_s = agent.now_s()
        await run_commands(agent, options.commands, options.resume, options.json)
        await agent.quit()
    finally:
        agent.close()
    size_bytes = sum(transfer.size_bytes for transfer in agent.transfers)
    done = tuple(agent.transfers)
    times = (connected_s, greeting_s, login_s)
    return SessionReport(
        options.host, options.port, agent.address, options.user, *times, done, size_bytes, agent.now_s()
    )


def main(argv: list[str] | None = None) -> int:
    """Run the FTP client with the commands of its command line; return the exit code: 0, or 1 if a command failed."""
    options = _parser().parse_intermixed_args(argv)
    if options.commands and all(name == "help" for name, *_ in options.commands):
        # The command `help` needs no server.
        print("\n".join(line for _, *names in options.commands for line in _usage_lines(names or _USAGE)))
        return 0
    try:
        # asyncio's own event loop even if uvloop is installed: uvloop's clock has a resolution of milliseconds.
        report = asyncio.run(_session(options))
    except (ReplyError, OSError, ValueError) as error:
        print(f"client: {printable(str(error)) or 'timed out'}", file=sys.stderr)
        return EXIT_FAILED
    sys.stdout.flush()
    print(json.dumps(report.as_json()) if options.json else report.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
