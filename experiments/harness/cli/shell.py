"""Mininet's command line as `lab7 shell` opens it: HOST COMMAND, help, exit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mininet.cli import CLI
from mininet.log import error, output

from topologies.emulation.errors import EmulationError


class Shell(CLI):  # type: ignore[misc]
    """The command line on a running network; from a terminal, a pipe or a file."""

    prompt = "lab7> "
    # Names of hosts have hyphens.
    identchars = CLI.identchars + "-"

    def onecmd(self, line: str) -> bool:
        """Run one line; what the network refuses is one sentence, and the next line is read."""
        try:
            return bool(super().onecmd(line))
        except EmulationError as refused:
            error(f"{refused}\n")
            return False

    def default(self, line: str) -> None:
        """Run a command in a host. Mininet puts addresses in the place of hosts' names, also where a person is meant:
        what stands behind a long option, as in `alice swaks --auth-user alice`, is left as it is."""
        words = line.split(" ")
        for place, (before, word) in enumerate(pairwise(words), start=1):
            if before.startswith("--") and word in self.mn:
                words[place] = f"'{word}'"
        super().default(" ".join(words))

    def waitForNode(self, node: Any) -> None:  # noqa: N802
        """Print what a host's command says until it ends; a terminal's keys go to it, a file's next lines do not."""
        if self.isatty():
            super().waitForNode(node)
            return
        while node.waiting:
            output(node.monitor())
