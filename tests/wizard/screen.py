"""A terminal for the tests: what a program draws becomes lines of text that a test can read, and keys go to it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect

ROWS, COLUMNS = 45, 130
#: Seconds that anything may take. An idle machine needs some five for the slowest: only what never comes is too late.
PATIENCE_S = 180.0
KEYS = {
    "enter": "\r", "esc": "\x1b", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "space": " ", "backspace": "\x7f",
    "ctrl-c": "\x03", "ctrl-d": "\x04", "ctrl-u": "\x15", "ctrl-a": "\x01", "ctrl-k": "\x0b", "end": "\x1b[F",
}  # fmt: skip
_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07")


class Screen:
    """Just enough of a VT100: text, cursor moves, erasing. Lines that scroll away are kept in `history`."""

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self._rows, self._columns = rows, columns
        self.lines = [[" "] * columns for _ in range(rows)]
        self.history: list[str] = []
        self._row = self._column = 0
        self._rest = ""

    @property
    def text(self) -> str:
        """Everything that was written and not erased."""
        return "\n".join([*self.history, *("".join(line).rstrip() for line in self.lines)]).rstrip()

    def feed(self, data: str) -> None:
        """Take what the program wrote."""
        data = self._rest + data
        self._rest = ""
        position = 0
        while position < len(data):
            char = data[position]
            if char != "\x1b":
                self._put(char)
                position += 1
                continue
            match = _SEQUENCE.match(data, position)
            if match is None:
                if len(data) - position > 40:
                    raise AssertionError(f"an unknown sequence: {data[position : position + 40]!r}")
                self._rest = data[position:]
                return
            if match[2]:
                self._control(match[1], match[2])
            position = match.end()

    def _put(self, char: str) -> None:
        if char == "\n":
            self._row += 1
            if self._row == self._rows:
                self.history.append("".join(self.lines.pop(0)).rstrip())
                self.lines.append([" "] * self._columns)
                self._row -= 1
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(0, self._column - 1)
        elif char >= " ":
            if self._column >= self._columns:
                self._column = 0
                self._put("\n")
            self.lines[self._row][self._column] = char
            self._column += 1

    def _control(self, parameters: str, final: str) -> None:
        numbers = [int(part) if part.isdigit() else 0 for part in parameters.split(";")]
        count = max(1, numbers[0])
        if final == "A":
            self._row = max(0, self._row - count)
        elif final == "B":
            self._row = min(self._rows - 1, self._row + count)
        elif final == "C":
            self._column = min(self._columns - 1, self._column + count)
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final == "G":
            self._column = count - 1
        elif final == "H":
            self._row = count - 1
            self._column = max(1, numbers[1] if len(numbers) > 1 else 1) - 1
        elif final == "K":
            self._erase(self._row, self._column if numbers[0] == 0 else 0)
        elif final == "J":
            self._erase(self._row, self._column if numbers[0] == 0 else 0)
            for row in range(self._row + 1 if numbers[0] == 0 else 0, self._rows):
                self._erase(row, 0)

    def _erase(self, row: int, column: int) -> None:
        self.lines[row][column:] = [" "] * (self._columns - column)


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
        self.screen = Screen()
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
