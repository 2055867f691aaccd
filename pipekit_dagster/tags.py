"""Tags that pipekit puts on Dagster's jobs and runs."""

from __future__ import annotations

#: Name of the group that a job runs; on every run of a group's job.
GROUP_TAG = "pipekit/group"
#: Who asked for a run: `schedule:{name}`, `trigger:{name}`, `automation`, or on our own pages and REST
#: `user:{name}`, `token:{name}`. One without it is `manual`.
TRIGGERED_BY_TAG = "pipekit/triggered_by"
#: Name of the schedule or trigger that asked, for people.
ORIGIN_TAG = "pipekit/origin"
#: On every run of the job of all modules, of which some must be picked.
SELECTION_TAG = "pipekit/selection"
#: On a run that resolves and plans and moves nothing.
DRY_RUN_TAG = "pipekit/dry_run"
