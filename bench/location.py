"""What a code location of a thousand modules costs, beside one of Dagster alone with as many ops, jobs, assets and schedules.

    python -m bench.location [--groups 100] [--members 10]

Each is loaded in a process of its own, as a code server does: its definitions are made, looked through and written as the text
that the web server and the daemon get. Writes bench/results/location.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.__main__ import write
from bench.dagster_scale import small_module
from pipekit_engine.models import Group, Schedule
from tests.dagster.project import Project

_BARE = """
import dagster as dg

def op_of(name):
    @dg.op(name=name, ins={"before": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def run():
        pass
    return run

def asset_of(name):
    @dg.asset(name=name, key_prefix="dw")
    def run():
        pass
    return run

def job_of(group):
    ops = [op_of(f"m{group}_{member}") for member in range(MEMBERS)]
    @dg.job(name=f"g{group}")
    def run():
        done = None
        for op in ops:
            done = op() if done is None else op(done)
    return run

jobs = [job_of(group) for group in range(GROUPS)]
defs = dg.Definitions(
    jobs=jobs,
    schedules=[dg.ScheduleDefinition(name=f"s{n}", job=job, cron_schedule="0 2 * * *") for n, job in enumerate(jobs)],
    assets=[asset_of(f"m{group}_{member}") for group in range(GROUPS) for member in range(MEMBERS)],
)
"""
_OURS = "from pipekit_dagster.definitions import defs\n"
#: Loads `defs`, and prints seconds of CPU and MB after each step.
_LOAD = """
import json, re, sys, time
GROUPS, MEMBERS, code = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
steps = {}
def done(step):
    status = open("/proc/self/status").read()
    steps[step] = (time.process_time(), int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1000)
import dagster
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
done("dagster imported")
exec(code)
done("definitions made")
repository = defs.get_repository_def()
done("repository made")
text = serialize_value(RepositorySnap.from_def(repository, defer_snapshots=True))
done("written")
print(json.dumps(steps))
"""


def _loaded(code: str, project: Project, groups: int, members: int) -> dict[str, tuple[float, float]]:
    """Seconds of CPU and MB, up to each step."""
    command = [sys.executable, "-c", _LOAD, str(groups), str(members), code]
    environment = {**os.environ, "PIPEKIT_CONFIG": str(project.config_file)}
    answer = subprocess.run(command, env=environment, cwd=project.folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-2000:]
    steps: dict[str, tuple[float, float]] = json.loads(answer.stdout.splitlines()[-1])
    return steps


def page(groups: int, members: int, rounds: int) -> str:
    """The table, medians of some rounds in turn."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.save(*(small_module(f"m{group}_{member}") for group in range(groups) for member in range(members)))
        for group in range(groups):
            layers = tuple((f"m{group}_{member}",) for member in range(members))
            project.save(
                Group(name=f"g{group}", layers=layers), Schedule(name=f"s{group}", group=f"g{group}", cron="0 2 * * *")
            )
        sides = {"pipekit": _OURS, "Dagster alone": _BARE}
        measured: dict[str, list[dict[str, tuple[float, float]]]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, code in sides.items():
                measured[side].append(_loaded(code, project, groups, members))
    text = (
        f"# A code location of {groups * members:,} modules in {groups} groups\n\nBeside one without pipekit, with as many ops, "
        "jobs, schedules and assets. Seconds of CPU, and the process's memory, up to each step; medians, in turn.\n\n"
        f"| up to | {' | '.join(f'{side} | memory' for side in sides)} | ratio of the times |\n|---|---|---|---|---|---|\n"
    )
    for step in measured["pipekit"][0]:
        cells = []
        times = []
        for runs in measured.values():
            times.append(statistics.median(run[step][0] for run in runs))
            cells.append(f"{times[-1]:.2f} s | {statistics.median(run[step][1] for run in runs):.0f} MB")
        text += f"| {step} | {' | '.join(cells)} | {times[0] / times[1]:.2f} |\n"
    return text


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m bench.location", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    write("location", page(options.groups, options.members, options.rounds))


if __name__ == "__main__":
    main()
