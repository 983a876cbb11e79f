"""Check whether an X server is available for the terminal windows of hosts (commands xterm, gterm and x).

The server is that of the user. DISPLAY names its socket in /tmp/.X11-unix, or its TCP port (ssh -X). A TCP port cannot
be reached from a sandbox (separate Linux namespaces), in which emulated networks usually run.
"""

from __future__ import annotations

import os

from lab7.topologies.emulation import sandbox, tools

# Mininet's name of a terminal -> (program, Debian package).
PROGRAMS = {"xterm": ("xterm", "xterm"), "gterm": ("gnome-terminal", "gnome-terminal")}
INSTEAD = "use `HOST COMMAND`, or `lab7 exec NAME HOST -- bash` in another terminal"


def refusal(term: str | None = None) -> str | None:
    """Return a sentence on why no terminal window can be opened, with a remedy; None if one can be opened.

    `term` is the terminal program; None stands for any X client.
    """
    display = os.environ.get("DISPLAY", "")
    if not display:
        return f"no display for windows (DISPLAY is not set): {INSTEAD}"
    by_tcp = display.split(":")[0] not in ("", "unix")
    if by_tcp and sandbox.inside():
        return f"the display {display} uses TCP, which the sandbox does not have: start lab7 with --no-sandbox as root"
    program, package = PROGRAMS.get(term or "", ("", ""))
    needed = [
        *([(program, package)] if program else []),
        ("socat", "socat") if by_tcp else ("xhost", "x11-xserver-utils"),
    ]
    for name, where in needed:
        if tools.which(name) is None:
            return f"the program {name} is missing: `sudo apt-get install {where}`"
    return None
