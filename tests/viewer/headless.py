"""A real browser for tests: Chromium without a window, spoken to over a pipe, with nothing but the standard library.

`browser()` says where one is; `Browser` runs it, opens a file, presses keys, and tells what the page wrote to its
console, asked of the network and would print.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Self

__all__ = ["Browser", "browser"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
KEYS = {"Tab": 9, "Enter": 13, "Space": 32}
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--hide-scrollbars", "--mute-audio",
)  # fmt: skip


def browser() -> str | None:
    """Where a Chromium is on this machine; None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


# Chromium reads commands from descriptor 3 and answers on 4; both may be taken by then.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page of a headless Chromium.

    Attributes:
        console: What the page wrote to its console, and what went wrong in it.
        requests: Addresses of all that it asked for.
    """

    def __init__(self, timeout_s: float = 30.0) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._timeout_s = timeout_s
        self._last = 0
        self._seen: list[str] = []
        self._buffer = b""
        self._session = ""

    def __enter__(self) -> Self:
        self._home = tempfile.mkdtemp()
        ours_in, self._out = os.pipe()
        self._in, ours_out = os.pipe()
        command = [sys.executable, "-c", _LAUNCH, str(ours_in), str(ours_out), browser() or "chromium", *_FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._home}"], pass_fds=(ours_in, ours_out),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours_in)
        os.close(ours_out)
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._home, ignore_errors=True)

    # -- what a reader does --------------------------------------------------------------------------------------------

    def open(self, path: Path, fragment: str = "", *, width: int = 1_200, height: int = 900, **features: str) -> None:
        """Open a file, in a window of a size; features such as `prefers-color-scheme` are set with `_`."""
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._send("Emulation.setEmulatedMedia", features=wanted)
        self._seen.clear()
        self._send("Page.navigate", url=path.resolve().as_uri() + fragment)
        while "Page.loadEventFired" not in self._seen:
            self._receive()

    def run(self, script: str) -> Any:
        """The value of an expression in the page, a promise's once it is there."""
        told = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        told: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        if key == "Enter":
            told["text"] = "\r"
        self._send("Input.dispatchKeyEvent", type="keyDown", **told)
        self._send("Input.dispatchKeyEvent", type="keyUp", **told)
        self.settle()

    def settle(self) -> None:
        """Wait until what was changed has been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def scripts(self, *, on: bool) -> None:
        """Switch the page's scripts on or off, before it is opened."""
        self._send("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, *, whole: bool = False) -> bytes:
        """The page as a PNG."""
        told = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(told["data"])

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(self._send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])

    # -- the protocol --------------------------------------------------------------------------------------------------

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        number = self._last
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._receive()
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                result: dict[str, Any] = told["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select([self._in], [], [], self._timeout_s)
            assert ready, "The browser doesn't answer."
            read = os.read(self._in, 1 << 20)
            assert read, "The browser ended."
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        self._note(told.get("method", ""), told.get("params", {}))
        return told

    def _note(self, method: str, told: Mapping[str, Any]) -> None:
        self._seen.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded":
            self.console.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(told["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.console.append(json.dumps(told["args"]))
