"""Small charts of runs as SVG: numbers and class names only, no text from anywhere but names of phases and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup

from pipekit_engine.common.visible import visible
from pipekit_engine.operations.figures import count, seconds

if TYPE_CHECKING:
    from pipekit_engine.models import RunRecord

SPARK_RUNS, HISTORY_RUNS = 20, 60
_SPARK_W, _SPARK_H, _BAR = 100, 22, 5
#: Parts of a strip of partitions, and how these stand, the best first.
_STRIP_PARTS = 400
_BADNESS = ("filled", "partly", "missing", "cancelled", "running", "failed")


def sparkline(runs: Sequence[RunRecord]) -> Markup:
    """The durations of the newest runs, oldest at the left, a bar each in its status's colour."""
    shown = list(reversed(runs[:SPARK_RUNS]))
    longest = max((run.duration_s or 0 for run in shown), default=0) or 1
    bars = []
    for i, run in enumerate(shown, start=SPARK_RUNS - len(shown)):
        height = max(2, round(_SPARK_H * (run.duration_s or 0) / longest))
        bars.append(_bar(i * _BAR, _SPARK_H - height, _BAR - 1, height, run.status, _told(run)))
    label = f"durations of the last {len(shown)} runs"
    return _svg("spark", _SPARK_W, _SPARK_H, label, bars)


def history(runs: Sequence[RunRecord], height: int = 60) -> Markup:
    """Rows read (above) and seconds (below) of past runs, oldest at the left; each bar leads to its run."""
    shown = list(reversed(runs))
    width, parts = HISTORY_RUNS * 10, []
    rows, times = [float(run.rows_read or 0) for run in shown], [run.duration_s or 0.0 for run in shown]
    charts = (
        (18, rows, f"rows, {count(int(max(rows)))} at most"),
        (height + 46, times, f"{seconds(max(times))} at most"),
    )
    for top, values, label in charts:
        most = max(values, default=0) or 1
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(top - 6, label))
        for i, (run, value) in enumerate(zip(shown, values, strict=True)):
            size = max(1.0, height * value / most)
            bar = _bar(i * 10 + 1, top + height - size, 8, size, run.status, _told(run))
            parts.append(Markup('<a href="/pipekit/runs/{}">{}</a>').format(run.id, bar))
        parts.append(
            Markup('<line class="axis" x1="0" x2="{}" y1="{}" y2="{}"/>').format(width, top + height, top + height)
        )
    return _svg("history", width, 2 * height + 46, "rows read and seconds of past runs", parts)


def phase_bar(timings: Mapping[str, float]) -> Markup:
    """How a run's time was spent, phase beside phase."""
    total, at, parts = sum(timings.values()) or 1, 0.0, []
    for i, (phase, took) in enumerate(timings.items()):
        width = 1000 * took / total
        parts.append(
            Markup(
                '<rect class="phase-{}" x="{:.1f}" y="0" width="{:.1f}" height="16"><title>{}</title></rect>'
            ).format(i % 8, at, width, visible(f"{phase} {seconds(took)}"))
        )
        at += width
    return Markup(
        '<svg class="phases" viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format("time in each phase", Markup("").join(parts))


def strip(standings: Sequence[str], title: str = "partitions, the oldest at the left") -> Markup:
    """How the partitions stand, one beside the other; where there are many, the worst of each few."""
    shown = min(len(standings), _STRIP_PARTS)
    edges = [i * len(standings) // shown for i in range(shown + 1)] if shown else []
    worst = [max(standings[i:j], key=lambda item: _BADNESS.index(item)) for i, j in pairwise(edges)]
    parts, at = [], 0.0
    for standing, group in groupby(worst):
        width = 1000 * len(list(group)) / shown
        parts.append(
            Markup('<rect class="part-{}" x="{:.1f}" y="0" width="{:.1f}" height="16"><title>{}</title></rect>').format(
                standing, at, width, standing
            )
        )
        at += width
    return Markup(
        '<svg class="phases" viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(title, Markup("").join(parts))


def _bar(x: float, y: float, width: float, height: float, status: str, told: str) -> Markup:
    return Markup(
        '<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    ).format(status, x, y, width, height, told)


def _told(run: RunRecord) -> str:
    rows = f", {count(run.rows_read)} rows" if run.rows_read is not None else ""
    return f"run {run.id}: {run.status}, {seconds(run.duration_s) or 'not ended'}{rows}"


def _svg(name: str, width: int, height: int, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>').format(
        name, width, height, label, Markup("").join(parts)
    )
