"""Headless Chromium, led over its debugging pipe: pages, what is on them, clicks, typing, files, the screen.

with Browser(tmp_path) as browser:
    browser.open("http://127.0.0.1:8025/")
    browser.type("#user", "alice")
    browser.click("button")
    browser.value("document.title")
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

# A browser that has never run before makes its profile first.
PATIENCE_S = 60.0
# Without its errands to its maker's hosts, of which there are none here.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
WIDTH, HEIGHT = 1280, 900
# Narrower screens are those of phones.
PHONE_WIDTH = 600
needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")


class Browser:
    """One browser with a fresh profile in `folder`, and one tab."""

    def __init__(self, folder: Path, *flags: str) -> None:
        own_end, theirs = os.pipe()
        their_end, own = os.pipe()
        # The browser reads commands from descriptor 3 and writes to 4.
        words = [f'exec "$0" "$@" 3<&{their_end} 4>&{theirs}', "chromium", *FLAGS, *flags]
        command = ["bash", "-c", *words, f"--user-data-dir={folder}", "about:blank"]
        self._log = open(folder.with_suffix(".log"), "wb")  # noqa: SIM115
        self._process = subprocess.Popen(
            command, pass_fds=(their_end, theirs), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        os.close(their_end)
        os.close(theirs)
        self._reader, self._writer = own_end, own
        # select(2) takes no descriptor above 1023, which a long run of tests can have.
        self._poll = select.poll()
        self._poll.register(own_end, select.POLLIN)
        self._received = b""
        self._messages: deque[dict[str, Any]] = deque()
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Network", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for descriptor in (self._reader, self._writer):
            os.close(descriptor)
        self._log.close()

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol, and what it returns."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        octets = json.dumps(message).encode() + b"\0"
        while octets:
            octets = octets[os.write(self._writer, octets) :]
        while True:
            came = self._next()
            if came.get("id") == self._number:
                assert "error" not in came, f"{method}: {came}"
                return dict(came["result"])
            self.events.append(came)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._received:
            ready = self._poll.poll(max(end - time.monotonic(), 0) * 1e3)
            assert ready, "the browser says nothing"
            came = os.read(self._reader, 1 << 20)
            assert came, "the browser is gone"
            self._received += came
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))

    def _loaded(self, begun: int) -> None:
        """Wait until a page that was asked for behind so many events is there with its pictures and frames."""
        seen = begun
        while True:
            while seen < len(self.events):
                event = self.events[seen]
                # A page of the back/forward cache is there without being loaded.
                is_restored = event.get("params", {}).get("type") == "BackForwardCacheRestore"
                if event.get("method") == "Page.loadEventFired" or is_restored:
                    return
                seen += 1
            self.events.append(self._next())

    def forget(self) -> None:
        """Be as a new browser is: without cookies, and on no page."""
        self.call("Network.clearBrowserCookies")
        self.open("about:blank")
        self.events.clear()

    def open(self, url: str) -> None:
        """Go to a page."""
        begun = len(self.events)
        self.call("Page.navigate", url=url)
        self._loaded(begun)

    def back(self) -> None:
        """Go back in the history, as the button does, and wait for the page."""
        begun = len(self.events)
        self.value("void history.back()")
        self._loaded(begun)

    def press(self, key: str) -> None:
        """Press a key such as Tab or Enter."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **text)

    def show_as(self, width: int, height: int, is_dark: bool = False) -> None:
        """Have a screen of this size, and prefer light or dark pages."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < PHONE_WIDTH}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is on the page; the page's own policy does not bind the debugger."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def type(self, selector: str, text: str) -> None:
        """Put a text into a field, behind what is there."""
        self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click on something that leads to another page, and wait for that."""
        begun = len(self.events)
        self.value(f"document.querySelector({json.dumps(selector)}).click()")
        self._loaded(begun)

    def choose(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def picture(self, path: Path) -> None:
        """Save what the screen shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
