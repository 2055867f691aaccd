"""Tags that pipekit puts on Dagster's jobs and runs."""

from __future__ import annotations

#: Name of the group that a job runs; on every run of a group's job.
GROUP_TAG = "pipekit/group"
#: Who asked for a run: `schedule:{name}`, `trigger:{name}`, or on our own pages and REST `user:{name}`, `token:{name}`.
#: One without it is `manual`.
TRIGGERED_BY_TAG = "pipekit/triggered_by"
#: Name of the schedule or trigger that asked, for people.
ORIGIN_TAG = "pipekit/origin"
