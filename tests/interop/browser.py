# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium without a window, driven by its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import websocket

#: For a page to load, or an answer to come.
SECONDS = 60


class Page:
    """A tab. What the console, the network and exceptions told since it was opened is in `events`."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self.number, self.events = 0, []
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, width: int, theme: str):
        """Opens a file at a width, in `light` or `dark`, and waits until it is loaded."""
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def evaluate(self, expression: str):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def move(self, x: float, y: float):
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def complaints(self) -> list:
        """Errors and warnings of the console, and exceptions."""
        loud = {"error", "warning", "assert"}
        return [
            event for event in self.events
            if event["method"] == "Runtime.exceptionThrown"
            or event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in loud
            or event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in loud
        ]  # fmt: skip

    def requests(self) -> list[str]:
        """What was asked for, the page itself included."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def picture(self, path: Path):
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=self.whole())
        path.write_bytes(base64.b64decode(shot["data"]))

    def whole(self) -> dict:
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def print(self, path: Path):
        path.write_bytes(base64.b64decode(self.ask("Page.printToPDF")["data"]))


@contextlib.contextmanager
def chromium():
    """A page of a browser that ends with the context."""
    binary = shutil.which("chromium")
    assert binary, "chromium is missing: apt-get install --no-install-recommends chromium fonts-dejavu-core"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        try:
            port = listening(browser)
            target = json.loads(fetched(port, "/json/list"))
            yield Page(next(tab["webSocketDebuggerUrl"] for tab in target if tab["type"] == "page"))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, 9)
            browser.wait()


def listening(browser: subprocess.Popen) -> int:
    """The port that it tells on stderr."""
    told = b""
    while select.select([browser.stderr], [], [], SECONDS)[0] and (line := browser.stderr.readline()):
        told += line
        if b"DevTools listening on ws://" in line:
            return int(line.split(b"ws://")[1].split(b"/")[0].split(b":")[1])
    raise AssertionError(f"chromium told no port: {told.decode(errors='replace')}")


def fetched(port: int, path: str) -> bytes:
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with straight.open(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as answer:
        return answer.read()
