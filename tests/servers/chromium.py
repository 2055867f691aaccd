"""A real Chromium without a window, told what to do over a pipe (its DevTools protocol), as a person would use it."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

#: The program; None where it is not installed.
CHROMIUM = shutil.which("chromium")


class DevToolsError(Exception):
    """The browser could not do what it was asked for."""


class Chromium:
    """A browser with one page; a context manager that ends it. `profile` is a folder of its own."""

    def __init__(self, profile: Path, width: int = 1600, height: int = 1200) -> None:
        assert CHROMIUM is not None, "a test asks for CHROMIUM first"
        commands, answers = os.pipe(), os.pipe()
        # In the child they are 3 and 4, so here they are neither.
        inside = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands[0], answers[1])]

        def place() -> None:
            os.dup2(inside[0], 3)
            os.dup2(inside[1], 4)

        self._process = subprocess.Popen(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", f"--window-size={width},{height}"),
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=place,
            pass_fds=(3, 4),
        )
        for end in (*inside, commands[0], answers[1]):
            os.close(end)
        self._to, self._from = os.fdopen(commands[1], "wb", buffering=0), os.fdopen(answers[0], "rb")
        self._numbers = itertools.count(1)
        self._session: str | None = None
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._to.close()  # the end of its pipe is the end of it
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._from.close()

    def open(self, url: str) -> None:
        """Go to an address."""
        self._ask("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """What a script gives on the page, as JSON has it; None while the page is being exchanged for another."""
        try:
            answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        except DevToolsError:
            return None
        return answer["result"].get("value")

    def text(self) -> str:
        """What a person reads on the page now."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def await_text(self, *texts: str, within_s: float) -> None:
        """Wait until the page shows all these texts. Raises AssertionError with those that it lacks."""
        until, shown = time.monotonic() + within_s, ""
        while time.monotonic() < until:
            shown = self.text()
            if all(text in shown for text in texts):
                return
            time.sleep(0.2)
        missing = [text for text in texts if text not in shown]
        raise AssertionError(f"{self.evaluate('location.href')} lacks {missing}; it shows:\n{shown[:2000]}")

    def log_in(self, url: str, user: str, password: str, *, within_s: float) -> None:
        """Open an address that asks for a login, and fill in the form."""
        self.open(url)
        self.await_text("Log in", within_s=within_s)
        for field, value in (("user", user), ("password", password)):
            self.evaluate(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
        self.evaluate("document.querySelector('form button').click()")
        until = time.monotonic() + within_s
        while "/pipekit/login" in str(self.evaluate("location.href")):
            assert time.monotonic() < until, f"the login does not end: {self.text()}"
            time.sleep(0.1)

    def fill(self, **values: str) -> None:
        """Type into the page's fields of these names; two underscores stand for a dot."""
        for field, value in values.items():
            name = json.dumps(field.replace("__", "."))
            found = self.evaluate(
                f"(() => {{ const field = document.getElementsByName({name})[0]; if (!field) return false;"
                f" field.value = {json.dumps(value)};"
                " for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true}));"
                " return true; })()"
            )
            assert found, f"{self.evaluate('location.href')} has no field {field}; it shows:\n{self.text()[:1000]}"

    def press(self, label: str, within_s: float = 10) -> None:
        """Press the page's first button or link of this text."""
        until = time.monotonic() + within_s
        script = (
            "(() => { const all = [...document.querySelectorAll('main button, main a, main summary, main label')];"
            f" const it = all.find((e) => e.textContent.trim() === {json.dumps(label)} && e.checkVisibility());"
            " if (!it) return false; it.click(); return true; })()"
        )
        while not self.evaluate(script):
            assert time.monotonic() < until, f"{self.evaluate('location.href')} has no {label!r}:\n{self.text()[:2000]}"
            time.sleep(0.1)

    def type(self, text: str) -> None:
        """Type where the cursor is."""
        self._ask("Input.insertText", text=text)

    def key(self, key: str, code: int, text: str = "") -> None:
        """Press a key, such as Tab (9), Escape (27), or Enter (13) with its text."""
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    def await_address(self, part: str, within_s: float = 20) -> None:
        """Wait until the page's address holds a text. Raises AssertionError."""
        until = time.monotonic() + within_s
        while part not in str(self.evaluate("location.href")) or self.evaluate("document.readyState") != "complete":
            assert time.monotonic() < until, f"at {self.evaluate('location.href')}:\n{self.text()[:2000]}"
            time.sleep(0.1)

    def size(self, width: int, height: int) -> None:
        """Make the page as large as a device's window."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, scheme: str) -> None:
        """Be a system that asks for `light` or `dark`."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """A picture of what is to be seen now, as PNG."""
        import base64

        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        request: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            request["sessionId"] = self._session
        self._to.write(json.dumps(request).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == number:
                if "error" in answer:
                    raise DevToolsError(answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            message += byte
        return bytes(message)
