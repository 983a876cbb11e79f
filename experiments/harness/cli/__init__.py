"""The command `lab7`: its group of subcommands and its error handling.

Exit codes: 0 all claims shown; 1 a claim not shown (or, with --strict, a suspect run); 2 usage error; 3 not possible on
this machine, or a process of the network died.
"""

from __future__ import annotations

import gc
import select
import signal
import sys
import threading

# ruff: noqa: E402 - imports follow this block: during the imports, Ctrl-C ends the command without a traceback.
_IMPORTING = threading.current_thread() is threading.main_thread() and (
    signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _IMPORTING:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import click

from experiments.harness.cli import inspect, matrices, networks, runs
from experiments.harness.cli.common import CANNOT, USAGE
from topologies.emulation import tools
from topologies.emulation.errors import EmulationError, TopologyError
from topologies.emulation.watch import LabDied

if _IMPORTING:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lab7", prog_name="lab7")
def lab7() -> None:
    """Application-layer protocols on an emulated network, judged from captured packets.

    \b
    lab7 run http-versions --set rtt=50ms     run an experiment: packets, times beside theory, a report
    lab7 shell web                            start a topology with its services, open a command line
    lab7 doctor                               check this machine and print remedies

    Exit codes: 0 all claims shown, 1 a claim not shown, 2 usage error, 3 not possible on this machine, or a process of
    the network died.
    """


for command in (
    inspect.list_command,
    runs.run_command,
    matrices.matrix_command,
    inspect.claims_command,
    networks.up_command,
    networks.shell_command,
    networks.exec_command,
    inspect.doctor_command,
):
    lab7.add_command(command)


def main() -> None:
    """Run the command line; print every error that the user can mend as one sentence."""
    tools.search_system_folders()
    try:
        # Outside of its standalone mode click returns the exit code that a command raised as Exit.
        code = lab7.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        click.echo("lab7: stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except TopologyError as error:
        click.echo(f"lab7: {error}", err=True)
        sys.exit(USAGE)
    except EmulationError as error:
        click.echo(f"lab7: {error}", err=True)
        sys.exit(CANNOT)
    except LabDied as death:
        click.echo(f"lab7: {death}", err=True)
        sys.exit(CANNOT)
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        # The reader of the pipe has exited (`lab7 list | head`): end quietly.
        sys.stderr.close()
        sys.exit(0)
    finally:
        # Skip the interpreter's last garbage collection, which takes half a second with all these modules.
        gc.freeze()


def _reader_has_left() -> bool:
    """Return whether standard output is a pipe without a reader; pipe(7), poll(2)."""
    poll = select.poll()
    poll.register(1, 0)
    return bool(poll.poll(0))
