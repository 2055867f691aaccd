"""`python -m pipekit_web.worker`: one run that a page asked for. Takes a `Wanted` as JSON on stdin, says a `Begun` on stdout."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING

from pipekit_engine.common.signals import on_signals
from pipekit_engine.engine import Engine
from pipekit_engine.errors import PipekitError
from pipekit_web.launching import Begun, Wanted

if TYPE_CHECKING:
    from pipekit_engine.engine import RunEvent


class _Voice:
    """Says one line, the first. The server may have gone: the run goes on."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._said = False

    def say(self, begun: Begun) -> None:
        with self._guard:
            if self._said:
                return
            self._said = True
            with contextlib.suppress(OSError):
                sys.stdout.write(json.dumps(vars(begun)) + "\n")
                sys.stdout.flush()


def main() -> int:
    """Run to the end; the exit status of the `pipekit` command."""
    wanted, voice, cancel = Wanted(**json.load(sys.stdin)), _Voice(), threading.Event()
    with on_signals((signal.SIGINT, signal.SIGTERM), cancel.set), Engine() as engine:

        def hear(event: RunEvent) -> None:
            voice.say(Begun(event.run_id, engine.store.runs.get(event.run_id).group_run_id))

        try:
            if wanted.partitions:
                filled = engine.backfill(
                    wanted.name,
                    keys=wanted.partitions,
                    again=True,
                    keep_going=wanted.keep_going,
                    triggered_by=wanted.by,
                    on_event=hear,
                    cancel=cancel,
                )
                # For a backfill of which nothing could begin.
                voice.say(Begun(problem="\n".join(filled.failed.values()) or "It was cancelled before it began."))
                return 1 if filled.failed or filled.cancelled else 0
            if wanted.kind == "groups":
                group = engine.run_group(
                    wanted.name,
                    dry_run=wanted.dry_run,
                    watermarks=wanted.watermarks,
                    partition=wanted.partition,
                    triggered_by=wanted.by,
                    on_event=hear,
                    cancel=cancel,
                ).record
                voice.say(Begun(group_run_id=group.id))
            else:
                run = engine.run(
                    wanted.name,
                    dry_run=wanted.dry_run,
                    watermarks=wanted.watermarks,
                    partition=wanted.partition,
                    triggered_by=wanted.by,
                    on_event=hear,
                    cancel=cancel,
                ).record
                voice.say(Begun(run.id))
        except PipekitError as error:
            if error.record is not None:
                voice.say(Begun(error.record.id))
            elif error.group_record is not None:
                voice.say(Begun(group_run_id=error.group_record.id))
            else:
                voice.say(Begun(problem=str(error)))
            return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
