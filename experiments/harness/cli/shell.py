"""Mininet's command line as `lab7 shell` opens it: HOST COMMAND, help, exit."""

from __future__ import annotations

from typing import Any

from mininet.cli import CLI
from mininet.log import output


class Shell(CLI):  # type: ignore[misc]
    """The command line on a running network; from a terminal, a pipe or a file."""

    prompt = "lab7> "
    # Names of hosts have hyphens.
    identchars = CLI.identchars + "-"

    def waitForNode(self, node: Any) -> None:  # noqa: N802
        """Print what a host's command says until it ends; a terminal's keys go to it, a file's next lines do not."""
        if self.isatty():
            super().waitForNode(node)
            return
        while node.waiting:
            output(node.monitor())
