"""Mininet's interactive command line (CLI) on a running network."""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from typing import Any

from mininet.cli import CLI
from mininet.log import error, output

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.cli import terminals
from lab7.experiments.harness.cli.interface import typed_names
from lab7.topologies.emulation.addressing import ipv6
from lab7.topologies.emulation.errors import EmulationError

HELP = """A command runs in a host whose name precedes it, and names of hosts in it stand for their addresses:
  HOST COMMAND ...
For example, in `lab7 shell web`:
  lab7> client curl -si http://www.example.com/
  lab7> client tcpdump -n -c 10 -w /tmp/client.pcap &
  lab7> client ping -c 3 origin
  lab7> link s1 s2 down
The text at the start lists the hosts, their services and commands to try. Files in /tmp are kept after `exit`.
"""


class Shell(CLI):  # type: ignore[misc]
    """Mininet's command line (HOST COMMAND, help, exit) on a running network, read from a terminal, pipe or file."""

    prompt = "lab7> "
    # Permit hyphens in command words, since host names contain hyphens.
    identchars = CLI.identchars + "-"
    # Printed by `help` below the list of commands, in place of Mininet's examples.
    helpStr = HELP  # noqa: N815

    def onecmd(self, line: str) -> bool:
        """Run one command line of the shell; an error is printed as one sentence.

        Returns False after an error, so that the shell continues.
        """
        try:
            return bool(super().onecmd(line))
        except EmulationError as refused:
            error(f"{refused}\n")
        except Exception as failure:
            error(f"`{line}` failed: {type(failure).__name__}: {failure}\n")
        return False

    def do_source(self, line: str) -> None:
        """Run the commands of a file (usage: source FILE); a command of the file may be `source`, too."""
        outer: Any = self.inputFile
        super().do_source(line)
        self.inputFile: Any = outer

    def do_xterm(self, line: str, term: str = "xterm") -> None:
        """Open a terminal window for each named node (usage: xterm NODE ...)."""
        if line.split() and (reason := terminals.refusal(term)):
            error(f"{term}: {reason}\n")
        else:
            super().do_xterm(line, term)

    def do_x(self, line: str) -> None:
        """Run a graphical program in a node (usage: x NODE COMMAND)."""
        words = line.split()
        if words and words[0] not in self.mn:
            error(f"node '{words[0]}' not in network\n")
        elif words and (reason := terminals.refusal()):
            error(f"x: {reason}\n")
        else:
            super().do_x(line)

    def default(self, line: str) -> None:
        """Run a command in a host (HOST COMMAND), after replacing host names by addresses.

        Mininet replaces all names of hosts by IPv4 addresses; words that do not stand for hosts (see typed_names) are
        quoted, which prevents the replacement. In a command for IPv6 (`a ping -6 b`), names of hosts are replaced by
        IPv6 addresses.
        """
        words = line.split(" ")
        if words[0] not in self.mn:
            hosts = [node.name for node in self.mn.hosts]
            # Print Mininet's error message, and a hint that it lacks.
            super().default(line)
            error(
                f"    a command runs in a host, such as `{hosts[0] if hosts else 'HOST'} {line}`"
                f"{did_you_mean(words[0], [*self._commands(), *hosts])}; the hosts are {', '.join(hosts)}\n"
            )
            return
        by_ipv6 = "-6" in words or words[1:2] in (["ping6"], ["traceroute6"], ["tracepath6"])
        meant = typed_names.stand_for_hosts(words, self.mn)
        for place, word in enumerate(words[1:], start=1):
            if word not in self.mn:
                continue
            if place not in meant:
                words[place] = f"'{word}'"
            elif by_ipv6 and (addresses := addresses_of(self.mn[word], with_ipv6=True)):
                words[place] = addresses[-1]
        super().default(" ".join(words))

    @classmethod
    def initReadline(cls) -> None:  # noqa: N802
        """Set up the history of typed commands, and the completion of names with hyphens."""
        super().initReadline()
        with suppress(ImportError):
            import readline

            readline.set_completer_delims(" \t\n|;&<>()")

    def _commands(self) -> list[str]:
        return [name.removeprefix("do_") for name in self.get_names() if name.startswith("do_")]

    def completenames(self, text: str, *_ignored: Any) -> list[str]:
        """Return the completions (Tab) of the first word of a line: commands and nodes."""
        return sorted(name for name in {*self._commands(), *self.mn} if name.startswith(text))

    def completedefault(self, text: str, line: str, begidx: int, _endidx: int) -> list[str]:
        """Return the completions (Tab) of any further word: programs after a host's name, otherwise nodes and files."""
        before = line[:begidx].split()
        found = {name for name in self.mn if name.startswith(text)}
        if len(before) == 1 and before[0] in self.mn:
            return sorted({*_programs(text), *found})
        files = [path + "/" if os.path.isdir(path) else path for path in glob.glob(glob.escape(text) + "*")]
        return sorted({*found, *files})

    def waitForNode(self, node: Any) -> None:  # noqa: N802
        """Print the output of a host's command until it exits.

        Keys typed at a terminal are passed to the command; further lines of a command file are not.
        """
        if self.isatty():
            super().waitForNode(node)
            return
        while node.waiting:
            output(node.monitor())


def addresses_of(host: Any, with_ipv6: bool) -> list[str]:
    """Return the IPv4 and, if `with_ipv6`, IPv6 address of a host's first interface, without prefix lengths."""
    has_ipv6 = with_ipv6 and getattr(host, "has_ipv6", False) and host.intfs
    six = ipv6.address_of(host.defaultIntf()) if has_ipv6 else None
    return [address for address in (host.IP(), ipv6.without_length(six) if six else None) if address]


def _programs(text: str) -> set[str]:
    """Return the names of the programs in PATH that start with a text."""
    found: set[str] = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        with suppress(OSError):
            found |= {name for name in os.listdir(folder) if name.startswith(text)}
    return found
