"""What the trials found, a line each in the file that PIPEKIT_FAULTS_REPORT names, and the page made from it.

python -m tests.faults.report FILE...: writes the page of the docs to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PIPEKIT_FAULTS_REPORT"


@dataclass
class Report:
    """Appends to a file, which several workers share; without a file it forgets."""

    file: Path | None = None

    @classmethod
    def from_environment(cls) -> Report:
        name = os.environ.get(VARIABLE)
        return cls(Path(name) if name else None)

    def add(self, **cell: str | bool) -> None:
        """One trial: kind, strategy, checkpoint, fault, and whether it was reached and survived."""
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(cell) + "\n")

    def close(self) -> None:
        """Nothing is buffered."""


def page(lines: list[str], cells: int) -> str:
    """The docs' page of reports; there are so many cells in all. Of a cell that was played again the last trial counts."""
    trials = list({_cell(trial): trial for trial in map(json.loads, lines)}.values())
    reached = [trial for trial in trials if trial["reached"]]
    lost = [trial for trial in reached if not trial["survived"]]
    out = [
        "# Under fault",
        "",
        "Made by `make test-faults` from its reports. A trial brings a run of each strategy to a checkpoint (the beginning of",
        "a phase, or a request on the wire, before it is sent or before its answer comes back), breaks something there, and",
        "then judges the destination's rows, the run's record, locks, staging, processes and sessions, and again after one",
        "more run. *Run process*, *daemon*, *code server*, *web server*, *all of serve*: the run began through `pipekit",
        "serve`, and what Dagster says of it was judged, too; there the strategies take turns. Of a cell that was played",
        "again the last trial counts.",
        "",
        f"{len({_cell(trial) for trial in reached}):,} of {cells:,} cells, {len(reached):,} trials, "
        f"{len(reached) - len(lost):,} survived, {len(lost):,} lost.",
        "Where not all were played, they are a sample drawn by chance.",
        "",
        "| what breaks | trials | survived | lost |",
        "|---|---|---|---|",
    ]
    for fault, count in sorted(Counter(trial["fault"] for trial in reached).items()):
        bad = sum(trial["fault"] == fault for trial in lost)
        out.append(f"| {fault} | {count} | {count - bad} | {bad} |")
    kinds = sorted({trial["kind"] for trial in reached})
    out += ["", "| checkpoint | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
    for checkpoint in dict.fromkeys(trial["checkpoint"] for trial in reached):
        counts = []
        for kind in kinds:
            here = [trial for trial in reached if (trial["checkpoint"], trial["kind"]) == (checkpoint, kind)]
            counts.append(f"{sum(trial['survived'] for trial in here)} of {len(here)}" if here else "-")
        out.append(f"| {checkpoint} | " + " | ".join(counts) + " |")
    for trial in lost:
        out += ["", f"Lost: {trial['kind']}, {trial['strategy']}, {trial['fault']}, {trial['checkpoint']}."]
    return "\n".join(out) + "\n"


def _cell(trial: dict[str, str]) -> tuple[str, ...]:
    return tuple(trial[name] for name in ("kind", "strategy", "checkpoint", "fault"))


if __name__ == "__main__":
    from tests.faults.test_matrix import cells
    from tests.faults.test_served import served_cells

    reports = [Path(name).read_text("utf-8") for name in sys.argv[1:]]
    sys.stdout.write(page("".join(reports).splitlines(), len(cells()) + len(served_cells())))
