"""Terminals of the live view: one bash per opened host, on a pseudo-terminal, with its output as plain text."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable

from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.client import connected, receive_reply, send_request
from lab7.topologies.emulation.errors import EmulationError

TERMINALS_MAX = 64
SIZE = [40, 110]
# Maximum number of characters kept of each terminal's output, for a page that is opened later.
KEPT_CHARACTERS = 20_000
READ_BYTES = 4096
# Output is read at this pace at most; a program that writes faster waits, as on a slow terminal.
READS_PER_S = 25
WRITE_TIMEOUT_S = 2.0
PROMPT_TIMEOUT_S = 5.0
_BASH = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
# ECMA-48: control sequences, and operating system commands up to BEL or ST.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_=>()][AB0]?")
_CONTROLS = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]")


def plain(text: str) -> str:
    """Convert terminal output to plain text: remove escape sequences, apply backspaces and carriage returns."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text)).replace("\r\n", "\n")
    if "\b" in text:
        kept: list[str] = []
        for one in text:
            if one != "\b":
                kept.append(one)
            elif kept and kept[-1] != "\n":
                kept.pop()
        text = "".join(kept)
    # Keep only the text after the last carriage return of a line, which a progress bar overwrites.
    return re.sub(r"[^\n]*\r(?=[^\n])", "", text).replace("\r", "")


class HostTerminal:
    """Terminal with a bash in one host.

    `tell` is called with each piece of output, and with None at the end; the calls come from a separate thread.
    """

    def __init__(self, network: str, host: str, tell: Callable[[str | None], None]) -> None:
        self._tell = tell
        self.kept = ""
        # Set at the first output, the prompt. Input typed before that would appear above the prompt.
        self.ready = threading.Event()
        self._channel: Channel = connected(network)
        environment = {"TERM": "dumb", "PS1": f"{host}$ "}
        send_request(self._channel, "exec", host=host, words=_BASH, terminal=SIZE, environment=environment)
        try:
            _, (self._master,) = receive_reply(self._channel)
        except BaseException:
            self._channel.close()
            raise
        os.set_blocking(self._master, False)
        threading.Thread(target=self._read, name=f"terminal of {host}", daemon=True).start()

    def write(self, text: str) -> None:
        """Send a text as keyboard input. Raises EmulationError if the shell has ended."""
        octets = text.encode()
        poll = select.poll()
        poll.register(self._master, select.POLLOUT)
        while octets:
            if not poll.poll(WRITE_TIMEOUT_S * 1e3):
                raise EmulationError("the program in the terminal does not read what is typed: stop it by Ctrl-C")
            try:
                octets = octets[os.write(self._master, octets) :]
            except BlockingIOError:
                continue
            except OSError:
                raise EmulationError("the shell has ended: open the terminal again") from None

    def close(self) -> None:
        """End the shell and the programs that it runs."""
        self._channel.shut()

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        # EIO: no program has the terminal open any more.
        with contextlib.suppress(OSError):
            while True:
                poll.poll()
                text = plain(decoder.decode(os.read(self._master, READ_BYTES)))
                self.kept = (self.kept + text)[-KEPT_CHARACTERS:]
                self._tell(text)
                self.ready.set()
                time.sleep(1 / READS_PER_S)
        with contextlib.suppress(ClosedError, TimeoutError):
            self._channel.receive(1.0)
        self._channel.close()
        os.close(self._master)
        self._tell(None)


class Terminals:
    """All open terminals of a network, keyed by host. Thread-safe.

    `tell` is called with a host and its output, and with None as output at a terminal's end.
    """

    def __init__(self, network: str, tell: Callable[[str, str | None], None]) -> None:
        self._network = network
        self._tell = tell
        self._open: dict[str, HostTerminal] = {}
        self._lock = threading.Lock()

    def write(self, host: str, text: str) -> None:
        """Send keyboard input to the terminal of a host; open the terminal if necessary. Raises EmulationError."""
        with self._lock:
            terminal = self._open.get(host)
            if terminal is None:
                if len(self._open) >= TERMINALS_MAX:
                    raise EmulationError(f"{TERMINALS_MAX} terminals are open already: close one by `exit`")
                terminal = self._open[host] = HostTerminal(self._network, host, lambda said: self._said(host, said))
        if text:
            terminal.ready.wait(PROMPT_TIMEOUT_S)
            terminal.write(text)

    def kept(self) -> dict[str, str]:
        """Return host -> its terminal's latest output, for each open terminal."""
        with self._lock:
            return {host: terminal.kept for host, terminal in self._open.items()}

    def close(self) -> None:
        """End all shells."""
        with self._lock:
            terminals = list(self._open.values())
        for terminal in terminals:
            terminal.close()

    def _said(self, host: str, text: str | None) -> None:
        if text is None:
            with self._lock:
                self._open.pop(host, None)
        self._tell(host, text)
