"""Dagster's private parts: all that pipekit uses of them, and no other module imports any.

pyproject.toml holds Dagster to one minor version, since Dagster does not promise to keep these names. When the minor version is
raised, go through these modules: each name has a comment that says what it is for and what to check. Then run `tests/dagster`,
which uses all of them. One module per process or moment that needs its names, so that nothing is imported in vain:

- `execution`: the thread executor. Where one of its names is gone, runs fall back to Dagster's in-process executor.
- `step_logs`: the log of an op. Where one of its names is gone, an op's lines go to the output of the run's process.
- `launching`: the run launcher, and the process of a run.
- `code_server`: what the supervisor asks of the code server and starts as the daemon. Imports Dagster when it is first used.
- `web_server`: Dagster's web server, the workspace that it shows, and what `/health` and the REST interface ask.
- `instigation`: schedules and sensors: the state of their ticks, the times at which they fire.

dagster.yaml names one more: the scheduler `dagster._core.scheduler.DagsterDaemonScheduler`, as Dagster's own manual does.
"""
