"""A headless Chromium, driven over its debugging pipe: what a page says on the console, asks for, and shows.

Nothing but the browser is needed. Messages are JSON objects that end with a zero byte, on file descriptors 3
(to the browser) and 4 (from it).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE_S = 30.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars",
)  # fmt: skip


@dataclass
class Seen:
    """What happened while a page was open: console messages and errors, and every address asked for."""

    messages: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


class Browser:
    """One browser with one tab."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self._in, write_there = os.pipe()
        read_there, self._out = os.pipe()
        # High numbers first: 3 and 4 may be in use, even by these pipes.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_there, write_there)]
        actions = [
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, ends[0], 3),
            (os.POSIX_SPAWN_DUP2, ends[1], 4),
        ]
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        self._process = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=actions)
        for end in (read_there, write_there, *ends):
            os.close(end)
        self._buffer, self._number, self._session = b"", 0, ""
        self._events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        tab = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)
        os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda event: event.get("id") == self._number)
        assert "error" not in answer, answer
        return answer["result"]

    def _until(self, wanted: Any) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE_S
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
                assert ready, "the browser did not answer"
                read = os.read(self._in, 1 << 16)
                assert read, "the browser has gone"
                self._buffer += read
            raw, self._buffer = self._buffer.split(b"\0", 1)
            event = json.loads(raw)
            self._events.append(event)
            if wanted(event):
                return event

    def open(self, address: str) -> Seen:
        """Load a page and let it settle."""
        self._events.clear()
        self.call("Page.navigate", url=address)
        loaded = any(event.get("method") == "Page.loadEventFired" for event in self._events)
        if not loaded:
            self._until(lambda event: event.get("method") == "Page.loadEventFired")
        # Two frames later everything that loading started has been asked for.
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self._seen()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def show(self, width: int = 1200, media: str = "screen", scheme: str = "light") -> None:
        """Lay the page out for a width, for screen or paper, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def _seen(self) -> Seen:
        seen = Seen()
        for event in self._events:
            method, given = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                seen.addresses.append(given["request"]["url"])
            elif method == "Runtime.consoleAPICalled":
                seen.messages += [str(part.get("value", part.get("description"))) for part in given["args"]]
            elif method == "Runtime.exceptionThrown":
                seen.messages.append(str(given["exceptionDetails"].get("exception", {}).get("description")))
            elif method == "Log.entryAdded":
                seen.messages.append(given["entry"]["text"])
        return seen
