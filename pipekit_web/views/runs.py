"""Lists of runs, and one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipekit_engine.common.text import first_line, other_lines
from pipekit_engine.models import GroupRunRecord, RunRecord
from pipekit_web import charts
from pipekit_web.rendering import SHOWN_CHARS

if TYPE_CHECKING:
    from pipekit_engine.store import Store

PER_PAGE = 50


@dataclass(frozen=True)
class RunPage:
    """One run. `log` is the end of its log, which begins at character `log_at`."""

    run: RunRecord
    phases: Markup
    error: str
    error_rest: str
    log: str
    log_at: int
    can_run_again: bool

    @property
    def log_end(self) -> int:
        """The character at which what follows begins."""
        return self.log_at + len(self.log)


def run_page(store: Store, run_id: int) -> RunPage:
    """One run. Raises NotFoundError."""
    run = store.runs.get(run_id)
    modules = store.definitions.load_checked()[0].modules
    at = max(0, len(run.live_log) - SHOWN_CHARS)
    return RunPage(
        run,
        charts.phase_bar(run.timings) if run.timings else Markup(),
        first_line(run.error, 1000),
        other_lines(run.error or "")[:SHOWN_CHARS],
        run.live_log[at:],
        at,
        run.module in modules,
    )


@dataclass(frozen=True)
class GroupRunPage:
    """A group's run and the runs of its members, oldest first."""

    group_run: GroupRunRecord
    members: list[RunRecord]
    can_run_again: bool


def group_run_page(store: Store, group_run_id: int) -> GroupRunPage:
    """One run of a group. Raises NotFoundError."""
    group_run = store.group_runs.get(group_run_id)
    members = store.runs.list(group_run_id=group_run_id, limit=500)[::-1]
    return GroupRunPage(group_run, members, group_run.group in store.definitions.load_checked()[0].groups)
