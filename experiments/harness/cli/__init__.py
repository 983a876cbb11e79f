"""Command `lab7`: its subcommands, and the conversion of errors to messages and exit codes.

Exit codes: 0 all claims (statements about protocols) are confirmed by the packets; 1 a claim is not (or, with --strict,
a suspect run: a check of the network's properties or of the machine's load failed); 2 usage error; 3 not possible on
this machine, or a process of the network died; 4 a program of --replace did not start; 128 and the signal's number, if
one ended it (130: Ctrl-C).
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

# ruff: noqa: E402 - imports follow this block: during the imports, Ctrl-C ends the command without a traceback.
_IMPORTING = threading.current_thread() is threading.main_thread() and (
    signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _IMPORTING:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import click
from click.shell_completion import CompletionItem

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.watch import LabDied, Stopped, leave_closed_terminal

if _IMPORTING:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Environment variable of a shell's completion script (lab7.experiments.harness.cli.interface.completion).
COMPLETE = "_LAB7_COMPLETE"
SHOWN, FAILED, USAGE, CANNOT, NOT_STARTED = 0, 1, 2, 3, 4

# Command -> (module, ".name" in this package; function in the module; line in `lab7 --help`).
COMMANDS = {
    "assignment": (
        "lab7.experiments.assignments.cli",
        "assignment_command",
        "build, check and grade individual packet-capture assignments",
    ),
    "attach": (".running.commands", "attach_command", "open Mininet's command line on a network that is up"),
    "capture": (".running.capture", "capture_command", "capture a host's packets in a network that is up, as pcapng"),
    "claims": (".inspect", "claims_command", "list the claims of the course with their latest verdicts"),
    "completion": (".interface.completion", "completion_command", "print the completion script of bash, zsh or fish"),
    "diff": ("lab7.experiments.diff.cli", "diff_command", "compare two runs: settings, claims, times and messages"),
    "doctor": (".doctor", "doctor_command", "check this machine, print remedies, install what is missing (--fix)"),
    "down": (".running.commands", "down_command", "take networks down that are up"),
    "draw": (".diagram", "draw_command", "draw a topology as SVG, Mermaid or DOT"),
    "events": (
        "lab7.experiments.view.cli",
        "events_command",
        "print what happens in a network that is up, as JSON lines",
    ),
    "exec": (".networks", "exec_command", "run one command in a host of a topology"),
    "export": (
        "lab7.experiments.export.cli",
        "export_command",
        "write a run as HAR, CSV, Parquet, JUnit, Markdown or zip",
    ),
    "judge": (
        "lab7.experiments.analysis.cli",
        "judge_command",
        "check the messages in a capture file by the rules of the RFCs",
    ),
    "ladder": (
        "lab7.experiments.ladder.cli",
        "ladder_command",
        "draw the messages in a capture file as a ladder diagram",
    ),
    "link": (".running.commands", "link_command", "change a link of a network that is up, or pull its cable"),
    "list": (".inspect", "list_command", "list experiments, their parameters, and topologies"),
    "man": (".interface.manual", "man_command", "print the manual page lab7(1)"),
    "matrix": (".matrices", "matrix_command", "test every server with every client, or every cache"),
    "open": (".browser", "open_command", "open the report of a run, or a network that is up, in the browser"),
    "ps": (".running.commands", "ps_command", "list the networks that are up"),
    "run": (".runs", "run_command", "run experiments and judge their claims"),
    "script": (".scripts", "script_command", "run a script that calls Mininet() itself on lab7's network"),
    "service": (".running.commands", "service_command", "kill or restart a host's services in a network that is up"),
    "shell": (".networks", "shell_command", "start a topology and open Mininet's command line on it"),
    "sweep": (
        "lab7.experiments.sweep.cli",
        "sweep_command",
        "run a grid of parameters, seeds and programs into one table",
    ),
    "up": (".networks", "up_command", "start a topology and keep it up until Ctrl-C"),
    "validate": (
        "lab7.experiments.validation.cli",
        "validate_command",
        "check result.json, listings and event logs by their JSON Schemas",
    ),
    "view": ("lab7.experiments.view.cli", "view_command", "serve a page that shows and changes a network that is up"),
    "wireshark": (
        "lab7.experiments.wireshark.cli",
        "wireshark_command",
        "prepare a run for Wireshark: comments, names, columns, filters",
    ),
}


class PipeClosedError(Exception):
    """Error of a write to a pipe that its reader has closed (EPIPE); `cause` is the BrokenPipeError."""

    def __init__(self, cause: BrokenPipeError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class LazyGroup(click.Group):
    """Command group that imports a command's module when it is used, since importing scapy and mininet takes 2 s."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by name; None for an unknown name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a command line. Raises click.UsageError, with a suggestion for an unknown name."""
        if ctx.resilient_parsing:
            # Completion of `lab7 help ru`: nothing may be printed, and the words are completed as commands.
            return super().resolve_command(ctx, args)
        if args[:1] == ["help"]:
            # As in other programs, `lab7 help run` is the same as `lab7 run --help`.
            if len(args) == 1:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [args[1], "--help"]
        if args[:1] == ["version"]:
            ctx.fail("No such command 'version': `lab7 --version` prints the version.")
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = did_you_mean(args[0], COMMANDS)
            ctx.fail(f"No such command {args[0]!r}{near}: `lab7 --help` lists the commands.")
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            from lab7.experiments.harness.cli.interface.defaults import defaults_of

            ctx.default_map = {name: defaults_of(command, name, COMMANDS, Path.cwd())}
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises PipeClosedError for a closed output pipe, since click would exit with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosedError(error) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions of the last word: options if it begins with a hyphen, else command names.

        Command names are completed without importing a command.
        """
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from lab7.experiments.harness.cli.interface.completion import command_items

        return list(command_items(COMMANDS, incomplete))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `lab7 --help` without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


def load_command(name: str) -> click.Command:
    """Import a command's module and return the command. Raises KeyError for an unknown name."""
    module, attribute, _ = COMMANDS[name]
    command: click.Command = getattr(importlib.import_module(module, __name__), attribute)
    if COMPLETE in os.environ:
        from lab7.experiments.harness.cli.interface.completion import complete_values

        return complete_values(command)
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lab7", prog_name="lab7")
def lab7() -> None:
    """Run application-layer protocols on an emulated network, and judge them from captured packets.

    \b
    lab7 run http-versions --set rtt=50ms  run an experiment, write a report
    lab7 shell web                         start a network, open a command line
    lab7 up internet --view                start one, show its packets on a page
    lab7 ladder capture.pcapng             draw messages as a ladder diagram
    lab7 doctor                            check this machine, print remedies

    Exit codes: 0 all claims shown, 1 a claim not shown, 2 usage error, 3 not possible on this machine, or a process of
    the network died, 4 a program of --replace did not start.
    """


def main() -> None:
    """Run the command `lab7` with the arguments of this process, and exit.

    An expected error is printed as one sentence, and determines the exit code.
    """
    _open_closed_streams()
    tools.search_system_folders()
    _use_standard_distutils()
    if COMPLETE in os.environ:
        from lab7.experiments.harness.cli.interface.completion import install_classes

        install_classes()
    try:
        # With standalone_mode=False, click returns the code of an Exit exception instead of exiting.
        code = lab7.main(prog_name="lab7", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        click.echo(f"lab7: {Stopped(signal.SIGINT)}", err=True)
        sys.exit(128 + signal.SIGINT)
    except click.ClickException as error:
        from lab7.experiments.harness.cli.interface.usage import explained

        explained(error, lab7).show()
        sys.exit(USAGE)
    except ArgumentError as error:
        click.echo(f"lab7: {error}", err=True)
        sys.exit(USAGE)
    except EmulationError as error:
        click.echo(f"lab7: {error}", err=True)
        sys.exit(CANNOT)
    except LabDied as death:
        click.echo(f"lab7: {death}", err=True)
        sys.exit(CANNOT)
    except Stopped as stop:
        # Ignore a failure to print, as after a SIGHUP from a closed terminal.
        with suppress(OSError):
            click.echo(f"lab7: {stop}", err=True)
        sys.exit(128 + stop.number)
    except (BrokenPipeError, PipeClosedError):
        if not _reader_has_left():
            raise
        # Exit without a message if the reader of the pipe has exited (`lab7 list | head`).
        _leave_full_output()
        sys.exit(0)
    except OSError as error:
        if leave_closed_terminal():
            sys.exit(128 + signal.SIGHUP)
        if (sentence := _refused_write(error)) is None:
            raise
        if not error.filename:
            _leave_full_output()
        with suppress(OSError):
            click.echo(f"lab7: {sentence}", err=True)
        sys.exit(CANNOT)
    finally:
        # Skip the interpreter's last garbage collection, which takes half a second with scapy and mininet imported.
        gc.freeze()


def _open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller has closed (`lab7 list >&-`, some schedulers).

    Otherwise, the next file or socket that lab7 opens would get the descriptor of the closed stream, and output to the
    stream would be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one, since those below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _use_standard_distutils() -> None:
    """Restore the standard library's distutils, which setuptools replaces; mininet is then imported 80 ms faster."""
    hack = sys.modules.get("_distutils_hack")
    # PEP 632: distutils left the standard library with Python 3.12.
    if sys.version_info < (3, 12) and hack is not None:
        hack.remove_shim()


def _refused_write(error: OSError) -> str | None:
    """Return a message for an error of a full disk, missing folder or missing permission; None for any other error."""
    what = f"{error.filename}" if error.filename else "the output"
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and error.filename and not Path(error.filename).parent.is_dir():
        return f"cannot use {what}: there is no folder {Path(error.filename).parent}; make it, or name another file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"cannot write {what} ({error.strerror}): free some space, or write to another disk"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
        return f"cannot use {what} ({error.strerror}): change its permissions, or name another file"
    return None


def _leave_full_output() -> None:
    """Discard buffered standard output, so that Python does not try to write it to a full disk at exit."""
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 1)
    os.close(null)


def _reader_has_left() -> bool:
    """Return True if standard output is a pipe whose reader has closed the pipe (poll(2))."""
    poll = select.poll()
    poll.register(1, 0)
    return bool(poll.poll(0))
