"""Drives an external jrunner: a program that is known by its flags only. They are those of the scripts that pipekit imports.

    jrunner -scu URL -scn USER -scp PASSWORD -sq FILE -dcu URL -dcn USER -dcp PASSWORD -dt TABLE [-t] [-c]

:class:`ExternalSession` moves rows by that program and does everything else (queries, statements, descriptions) by pipekit's own
jrunner. What such a program cannot promise is in :data:`LIMITS`; what can be checked from outside is checked:

- A zero exit status alone proves nothing. The destination's rows are counted before and after, and compared with the source's
  rows, counted before and after the migration as well, since a source may change meanwhile, and with the number that the
  program told, if it told one. An output that speaks of an error fails the migration whatever its status.
- Columns may be matched by position. The query is wrapped so that it yields the destination's columns, in the destination's
  order, under the destination's names.
- Cancel and Ctrl-C end the program's whole process group.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from pipekit_engine.common.progress import Progress
from pipekit_engine.common.text import counted
from pipekit_engine.errors import ConfigurationError, RuntimeMissing
from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.client import Session
from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerError
from pipekit_engine.jrunner.process import POLL_S, TERM_TIMEOUT_S, ProgressHandler
from pipekit_engine.jrunner.protocol import Interruption, MigrateRequest, MigrateResult, OpenRequest, OpenResult

#: What nobody can promise about a program that is known by its flags only; for `pipekit doctor`.
LIMITS = (
    "its load is not known to be one transaction: a failed load may leave rows in the staging table",
    "its values are not known to be exact: text, decimals and timestamps are converted as it pleases",
    "rows are counted by extra queries on the source and on the staging table, before and after each load",
    "passwords stand in its argument list, where every user of the machine can read them, unless its --help knows @FILE",
    "progress is what it prints; driver, fetch size, load path, split reads and session settings are its own",
)

#: Words that no successful migration prints.
ERROR_TEXT = re.compile(
    r"\b(?:\w+\.)*\w*Exception\b|\bSQLSTATE\b|^\s*(?:error|fatal|ERROR|FATAL)\b|\bfailed\b|\bCaused by:|\bORA-\d{5}",
    re.MULTILINE,
)
#: A number of rows, as programs tell it: "1,234 rows", "rows: 1234".
TOLD_ROWS = re.compile(r"(\d[\d,_]*)\s+rows?\b|\brows?\b[^\d\n]{0,20}?(\d[\d,_]*)", re.IGNORECASE)

OUTPUT_LINES = 200
HELP_LINES = 2000
PROBE_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class ExternalProgram:
    """An external jrunner: its command (split as a shell would), and whether it takes passwords from files."""

    command: tuple[str, ...]
    password_files: bool

    @classmethod
    def find(cls, command: str) -> ExternalProgram:
        """Looks at the program's ``--help`` for ``@FILE``.

        :raises RuntimeMissing: when the command cannot be started.
        """
        words = tuple(shlex.split(command))
        if not words:
            raise RuntimeMissing("The configured jrunner command is empty.")
        lines: deque[str] = deque(maxlen=HELP_LINES)
        try:
            # As a load is run: in a small environment, and ended with all its children.
            with _started([*words, "--help"], _environment(), None) as process:
                readers = [
                    threading.Thread(target=_read, args=(stream, lines, ()), daemon=True)
                    for stream in (process.stdout, process.stderr)
                ]
                for reader in readers:
                    reader.start()
                process.wait(PROBE_TIMEOUT_S)
                for reader in readers:
                    reader.join(1)
        except OSError as error:
            raise RuntimeMissing(f"The configured jrunner command {words[0]!r} cannot be started: {error}") from None
        except subprocess.TimeoutExpired:
            return cls(words, password_files=False)
        return cls(words, password_files=any(re.search(r"@file", line, re.IGNORECASE) for line in list(lines)))

    @property
    def limits(self) -> tuple[str, ...]:
        """What this program cannot promise."""
        return tuple(text for text in LIMITS if not (self.password_files and "@FILE" in text))


class ExternalSession(Session):
    """A session whose :meth:`migrate` runs an external jrunner, in a transaction of that. Everything else is pipekit's own.

    :param program: the external jrunner, or its command.
    :param timeout_s: a migration that takes longer is ended; None waits for ever (cancel still works).
    """

    loads_in_transaction: ClassVar[bool] = False

    def __init__(
        self,
        program: ExternalProgram | str,
        *,
        timeout_s: float | None = None,
        java: str | None = None,
        heap: str = jvm.DEFAULT_HEAP,
        jar: Path | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[str], None] | None = None,
    ) -> None:
        self.program = ExternalProgram.find(program) if isinstance(program, str) else program
        self._timeout_s = timeout_s
        self._cwd = cwd
        self._opened: dict[str, OpenRequest] = {}
        #: The program's last lines on stdout alone.
        self._printed: deque[str] = deque(maxlen=OUTPUT_LINES)
        super().__init__(java=java, heap=heap, jar=jar, cwd=cwd, on_stderr=on_stderr)

    def open(self, request: OpenRequest, *, cancel: threading.Event | None = None) -> OpenResult:
        """As in a session; the program logs in by itself with the same parameters."""
        if request.tls is not None or "jrunner.tunnel." in "".join(request.properties.values()):
            raise ConfigurationError(
                "An external jrunner (`command` under `jrunner` in the configuration) is known by its flags only: a connection "
                "with `tls` or `tunnel` needs pipekit's own."
            )
        result = super().open(request, cancel=cancel)
        self._opened[request.connection] = request
        return result

    def migrate(
        self,
        request: MigrateRequest,
        *,
        on_progress: ProgressHandler | None = None,
        before_commit: Callable[[int], None] | None = None,
        cancel: threading.Event | None = None,
        interruption: Interruption | None = None,
    ) -> MigrateResult:
        """Runs the program and checks what it did by counting.

        ``rows_read`` is the source's own count, ``rows_written`` what arrived in the table; ``path`` is ``external``.
        The request's ``path``, ``fetch_rows``, ``batch_rows`` and ``split`` do not apply.

        :raises JRunnerError: with code ``count_mismatch`` when the counts do not agree; rows may be in the table then.
        """
        if request.verify == "values":
            raise JRunnerError(
                "the external jrunner moves the rows by itself, so that their values are not seen: leave out `verify: values`, "
                "or let pipekit's own jrunner move them",
                phase="migrate",
                code="protocol",
            )
        if request.before or request.after or before_commit is not None:
            raise JRunnerError(
                "the external jrunner has a transaction of its own, in which nothing else can be done",
                phase="migrate",
                code="protocol",
            )
        began = time.monotonic()
        source = self._known(request.source)
        dest = self._known(request.dest)
        sql = self._arranged(request, source, dest, cancel)
        present = 0 if request.clear else self._count(request.dest, request.table, cancel)
        before = self._count(request.source, f"({request.sql}\n) q", cancel)
        load_began = time.monotonic()
        output = self._run(request, sql, source, dest, on_progress, cancel)
        load_ms = _milliseconds(load_began)
        written = self._count(request.dest, request.table, cancel) - present
        after = before if written == before else self._count(request.source, f"({request.sql}\n) q", cancel)
        if not min(before, after) <= written <= max(before, after):
            source_rows = str(before) if before == after else f"between {before} and {after}"
            raise JRunnerError(
                f"the external jrunner ended with status 0, but the source has {source_rows} rows and {written} arrived",
                phase="write",
                code="count_mismatch",
                causes=output[-10:],
            )
        told = _told_rows(output)
        if told is not None and told != written:
            raise JRunnerError(
                f"the external jrunner told of {counted(told, 'row')}, but {written} arrived",
                phase="write",
                code="count_mismatch",
                causes=output[-10:],
            )
        return MigrateResult(
            rows_read=written,
            rows_written=written,
            bytes=0,
            path="external",
            path_reason=f"jrunner: {self.program.command[0]} is configured",
            elapsed_ms=_milliseconds(began),
            read_ms=load_ms,
            write_ms=load_ms,
        )

    def _known(self, connection: str) -> OpenRequest:
        if connection not in self._opened:
            raise JRunnerError(f"connection '{connection}' is not open", phase="migrate", code="not_open")
        return self._opened[connection]

    def _count(self, connection: str, table: str, cancel: threading.Event | None) -> int:
        return int(self.query(connection, f"SELECT count(*) FROM {table}", cancel=cancel).first or 0)

    def _arranged(
        self, request: MigrateRequest, source: OpenRequest, dest: OpenRequest, cancel: threading.Event | None
    ) -> str:
        """The query, wrapped where needed so that names and positions of its columns are the destination's.

        :raises JRunnerError: with code ``columns`` when the columns do not match up.
        """
        has = [column.name for column in self.describe(request.source, sql=request.sql, cancel=cancel)]
        wants = [column.name for column in self.describe(request.dest, table=request.table, cancel=cancel)]
        mapping = {pair.dest: pair.source for pair in request.columns} if request.columns else {n: n for n in has}
        if request.columns and set(mapping) == set(wants):
            selected = [(mapping[name], name) for name in wants]
        else:
            by_folded = {name.casefold(): source_name for name, source_name in mapping.items()}
            missing = [name for name in wants if name.casefold() not in by_folded]
            if missing or len(mapping) != len(wants):
                raise JRunnerError(
                    "an external jrunner fills every column of the destination by position; "
                    f"the query gives {', '.join(mapping)}, the table has {', '.join(wants)}",
                    phase="migrate",
                    code="columns",
                )
            selected = [(by_folded[name.casefold()], name) for name in wants]
        if [pair[0] for pair in selected] == has and has == wants:
            return request.sql
        opening, closing = source.quote

        def quoted(name: str) -> str:
            return f"{opening}{name.replace(closing, closing * 2)}{closing}"

        items = ", ".join(f"{quoted(name)} AS {quoted(target)}" for name, target in selected)
        return f"SELECT {items} FROM (\n{request.sql}\n) q"

    # ------------------------------------------------------------------ the program

    def _run(
        self,
        request: MigrateRequest,
        sql: str,
        source: OpenRequest,
        dest: OpenRequest,
        on_progress: ProgressHandler | None,
        cancel: threading.Event | None,
    ) -> list[str]:
        """Runs the program to its end and returns the lines that it printed, secrets replaced.

        :raises JRunnerError: for a non-zero status, and for zero with an output that speaks of an error.
        """
        secrets = [text for text in (source.password, dest.password) if text]
        with tempfile.TemporaryDirectory(prefix="pipekit-external-") as folder:
            command = self._command(Path(folder), request, sql, source, dest)
            lines: deque[str] = deque(maxlen=OUTPUT_LINES)
            try:
                status = self._wait(command, lines, secrets, on_progress, cancel)
            finally:
                self.process.keep_output(self._printed)
        output = list(lines)
        complaint = next((line for line in output if ERROR_TEXT.search(line)), None)
        if status != 0 or complaint is not None:
            said = complaint or (output[-1] if output else "it printed nothing")
            raise JRunnerError(
                f"the external jrunner ended with status {status}: {said}",
                phase="write",
                code="sql",
                statement=sql,
                causes=output[-10:],
            )
        return output

    def _command(
        self, folder: Path, request: MigrateRequest, sql: str, source: OpenRequest, dest: OpenRequest
    ) -> list[str]:
        query = folder / "query.sql"
        query.write_text(sql, encoding="utf-8")
        command = [*self.program.command, "-scu", source.url]
        command += self._login(folder, "s", source)
        command += ["-sq", str(query), "-dcu", dest.url]
        command += self._login(folder, "d", dest)
        command += ["-dt", request.table]
        command += ["-t"] if request.trim else []
        command += ["-c"] if request.clear else []
        return command

    def _login(self, folder: Path, side: str, request: OpenRequest) -> list[str]:
        flags: list[str] = []
        if request.user is not None:
            flags += [f"-{side}cn", request.user]
        if request.password is not None:
            given = request.password
            if self.program.password_files:
                # The folder is readable by us alone.
                file = folder / f"{side}.password"
                file.write_text(f"{request.password}\n", encoding="utf-8")
                given = f"@{file}"
            flags += [f"-{side}cp", given]
        return flags

    def _wait(
        self,
        command: Sequence[str],
        lines: deque[str],
        secrets: Sequence[str],
        on_progress: ProgressHandler | None,
        cancel: threading.Event | None,
    ) -> int:
        began = told = time.monotonic()
        with _started(command, _environment(), self._cwd) as process:
            self._printed = deque(maxlen=OUTPUT_LINES)
            hearers = ((process.stdout, self._printed.append), (process.stderr, self.process.hear))
            readers = [
                threading.Thread(target=_read, args=(stream, lines, secrets, hear), daemon=True)
                for stream, hear in hearers
            ]
            for reader in readers:
                reader.start()
            while True:
                try:
                    status = process.wait(POLL_S)
                    for reader in readers:
                        reader.join(1)
                    return status
                except subprocess.TimeoutExpired:
                    pass
                if cancel is not None and cancel.is_set():
                    raise JRunnerCancelled("cancelled; the external jrunner was ended")
                now = time.monotonic()
                if self._timeout_s is not None and now - began > self._timeout_s:
                    raise JRunnerError(
                        f"the external jrunner did not end within {self._timeout_s:g} s and was ended",
                        phase="write",
                        code="internal",
                        causes=list(lines)[-10:],
                    )
                if on_progress is not None and now - told >= 1:
                    told = now
                    on_progress(Progress("migrate", _told_rows(list(lines)) or 0, 0, _milliseconds(began)))


def _environment() -> dict[str, str]:
    """A jrunner's small environment, with the program's own settings."""
    own = {name: os.environ[name] for name in ("JRUNNER_HEAP", "JRUNNER_JARS") if name in os.environ}
    return {**jvm.environment(), **own}


@contextlib.contextmanager
def _started(
    command: Sequence[str], environment: dict[str, str], cwd: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the program as the leader of a process group, which is ended as a whole whatever happens."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERM_TIMEOUT_S)
        # Also after its leader has gone: a shell wrapper may have left the JVM behind, and as long as it lives the group's
        # number cannot be given to another.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _read(
    stream: IO[bytes] | None, lines: deque[str], secrets: Sequence[str], hear: Callable[[str], None] = lambda _: None
) -> None:
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        for raw in stream:
            line = raw.decode(errors="replace").rstrip()
            for secret in secrets:
                line = line.replace(secret, "***")
            lines.append(line)
            hear(line)


def _told_rows(lines: Sequence[str]) -> int | None:
    """The last number of rows that the program told of."""
    for line in reversed(lines):
        found = TOLD_ROWS.search(line)
        if found:
            return int(re.sub(r"[,_]", "", found.group(1) or found.group(2)))
    return None


def _milliseconds(since: float) -> int:
    return round((time.monotonic() - since) * 1000)


__all__ = ["LIMITS", "ExternalProgram", "ExternalSession"]
