"""What can go wrong between pipekit and jrunner.

PipekitError
├── JRunnerError       jrunner answered a request with an error; the fields say what and where
├── JRunnerDied        the process ended, or stopped answering, while something was asked of it
└── RunCancelled
    └── JRunnerCancelled   the request was cancelled by its caller and did nothing

A Java or jar that is missing is a :class:`~pipekit_engine.errors.RuntimeMissing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipekit_engine.errors import PipekitError, RunCancelled


class JRunnerError(PipekitError):
    """jrunner's structured error. ``phase`` and ``code`` are those of the protocol (jrunner/README.md).

    ``str()`` gives the message with what it concerns: statement, column and row, SQLState and vendor code.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str = "",
        code: str = "internal",
        statement: str | None = None,
        statement_index: int | None = None,
        sqlstate: str | None = None,
        vendor_code: int | None = None,
        column: str | None = None,
        row: int | None = None,
        causes: Sequence[str] = (),
    ) -> None:
        self.message = message
        self.phase = phase
        self.code = code
        self.statement = statement
        self.statement_index = statement_index
        self.sqlstate = sqlstate
        self.vendor_code = vendor_code
        self.column = column
        self.row = row
        self.causes = tuple(causes)
        super().__init__(self._text())

    @classmethod
    def from_event(cls, error: Mapping[str, Any]) -> JRunnerError:
        """From the ``error`` object of a protocol event."""
        return cls(
            str(error.get("message", "")),
            phase=str(error.get("phase") or ""),
            code=str(error.get("code") or "internal"),
            statement=error.get("statement"),
            statement_index=error.get("statement_index"),
            sqlstate=error.get("sqlstate"),
            vendor_code=error.get("vendor_code"),
            column=error.get("column"),
            row=error.get("row"),
            causes=error.get("cause") or (),
        )

    def _text(self) -> str:
        place = []
        if self.column is not None:
            place.append(f"column {self.column!r}")
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.sqlstate:
            place.append(f"SQLState {self.sqlstate}")
        if self.vendor_code:
            place.append(f"vendor code {self.vendor_code}")
        text = f"{self.message} ({', '.join(place)})" if place else self.message
        # Drivers keep the reason of a failed login to themselves: "The connection attempt failed", and below it the unknown host.
        if self.code == "connect" and self.causes and not _repeats(self.message, self.causes[-1]):
            text += f": {self.causes[-1]}"
        if self.statement:
            text += f"\nin: {self.statement.strip()}"
        return text


def _repeats(message: str, cause: str) -> bool:
    """Whether the message says all that the cause says."""
    return all(word in message.casefold() for word in cause.casefold().split())


class JRunnerDied(PipekitError):
    """The jrunner process ended or stopped answering. What was under way had no answer, so its outcome is unknown.

    ``stderr`` holds the last lines that it wrote, ``status`` its exit status where there is one. ``opening``: it died while a
    connection was being opened.
    """

    def __init__(
        self, message: str, *, status: int | None = None, stderr: Sequence[str] = (), opening: bool = False
    ) -> None:
        self.message = message
        self.status = status
        self.stderr = tuple(stderr)
        text = message if status is None else f"{message} (exit status {status})"
        if stderr:
            text += "\nIts last words:\n" + "\n".join(f"  {line}" for line in stderr[-20:])
        if opening and any("OutOfMemoryError" in line for line in stderr):
            # Drivers make room for whatever length they read, before anything else is known of the server.
            text += (
                "\nNo row was read yet: what listens there sent something that the driver took for a huge message. Is it a "
                "database of this kind, and the right port?"
            )
        elif any("OutOfMemoryError" in line for line in stderr):
            text += (
                "\nRows stream, so this is one huge value, or several: give it more memory by `heap` under `jrunner` "
                "in the configuration."
            )
        super().__init__(text)


class JRunnerCancelled(RunCancelled):
    """The request was cancelled; its transaction was rolled back, the session and its connections go on."""
