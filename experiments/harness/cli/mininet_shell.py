"""Mininet's interactive command line (CLI) on a running network."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mininet.cli import CLI
from mininet.log import error, output

from lab7.experiments.harness.cli import terminals
from lab7.topologies.emulation.addressing import ipv6
from lab7.topologies.emulation.errors import EmulationError


class Shell(CLI):  # type: ignore[misc]
    """Mininet's command line (HOST COMMAND, help, exit) on a running network, read from a terminal, pipe or file."""

    prompt = "lab7> "
    # Permit hyphens in command words, since host names contain hyphens.
    identchars = CLI.identchars + "-"

    def onecmd(self, line: str) -> bool:
        """Run one command line; print an error as one sentence, and return False so that the shell goes on."""
        try:
            return bool(super().onecmd(line))
        except EmulationError as refused:
            error(f"{refused}\n")
        except Exception as failure:
            error(f"`{line}` failed: {type(failure).__name__}: {failure}\n")
        return False

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

        Mininet replaces host names by IPv4 addresses, in user names too: the word after a long option, as in `alice
        swaks --auth-user alice`, is quoted against that. In a command about IPv6 (`a ping -6 b`) names are replaced by
        IPv6 addresses.
        """
        words = line.split(" ")
        by_ipv6 = "-6" in words or words[1:2] in (["ping6"], ["traceroute6"], ["tracepath6"])
        for place, (before, word) in enumerate(pairwise(words), start=1):
            if word not in self.mn:
                continue
            if before.startswith("--"):
                words[place] = f"'{word}'"
            elif by_ipv6 and (addresses := addresses_of(self.mn[word], with_ipv6=True)):
                words[place] = addresses[-1]
        super().default(" ".join(words))

    def waitForNode(self, node: Any) -> None:  # noqa: N802
        """Print the output of a host's command until it exits.

        Keys typed at a terminal go to the command; further lines of a file do not.
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
