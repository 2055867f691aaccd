"""A terminal for the tests: what a program draws becomes lines of text that a test can read, and keys go to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect
import pyte

ROWS, COLUMNS = 45, 130
#: Seconds that anything may take. An idle machine needs some five for the slowest: only what never comes is too late.
PATIENCE_S = 180.0
KEYS = {
    "enter": "\r", "esc": "\x1b", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "space": " ", "backspace": "\x7f",
    "ctrl-c": "\x03", "ctrl-d": "\x04", "ctrl-u": "\x15", "ctrl-a": "\x01", "ctrl-k": "\x0b", "end": "\x1b[F",
}  # fmt: skip


class Screen:
    """A terminal's screen, emulated by pyte. Lines that scroll away stay readable."""

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.Stream(self._screen)

    @property
    def text(self) -> str:
        """Everything that was written and not erased."""
        above = [
            "".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top
        ]
        return "\n".join(line.rstrip() for line in [*above, *self._screen.display]).rstrip()

    def feed(self, data: str) -> None:
        """Take what the program wrote."""
        self._stream.feed(data)


class Typist:
    """Somebody at a terminal: starts a program, reads the screen, types."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        environment: dict[str, str],
        *,
        size: tuple[int, int] = (ROWS, COLUMNS),
        on_output: Callable[[str], None] | None = None,
    ) -> None:
        self.screen = Screen(*size)
        self._on_output = on_output
        self._child = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(cwd),
            env={**environment, "TERM": "xterm-256color"},
            dimensions=size,
            encoding="utf-8",
            timeout=PATIENCE_S,
        )
        self._child.delaybeforesend = None

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._child.closed and self._child.isalive():
            self._child.kill(signal.SIGKILL)
            self._child.wait()
        self._child.close()

    def read(self, seconds: float = 0.05) -> bool:
        """Read what there is; False at the program's end."""
        try:
            data = self._child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        if self._on_output is not None:
            self._on_output(data)
        self.screen.feed(data)
        return True

    def wait_for(self, *texts: str, timeout: float = PATIENCE_S) -> str:
        """Read until all these texts are on the screen; the screen."""
        until = time.monotonic() + timeout
        while True:
            alive = self.read()
            if all(text in self.screen.text for text in texts):
                return self.screen.text
            missing = [text for text in texts if text not in self.screen.text]
            assert alive, f"the program ended without {missing}:\n{self.screen.text}"
            assert time.monotonic() < until, f"{missing} did not come up:\n{self.screen.text}"

    def keys(self, *names: str) -> None:
        """Press named keys; any other text is typed as it is."""
        for name in names:
            self._child.send(KEYS.get(name, name))

    def answer(self, question: str, *names: str) -> str:
        """Wait for a question, then press keys; the screen as it was, which may hold only the beginning of a list."""
        screen = self.wait_for(question)
        self.keys(*names)
        return screen

    def end(self, timeout: float = PATIENCE_S) -> int:
        """Wait for the program's end; its exit status."""
        until = time.monotonic() + timeout
        while self.read(0.2):
            assert time.monotonic() < until, f"it does not end:\n{self.screen.text}"
        self._child.close()
        status = self._child.exitstatus
        return status if status is not None else -(self._child.signalstatus or 0)
