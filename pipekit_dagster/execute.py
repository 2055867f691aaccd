"""`python -m pipekit_dagster.execute JOB`: a job of the state store's definitions as a Dagster run in this process.

No server need be at work. The run stands in DAGSTER_HOME as one that `pipekit serve` had launched: under its job and in the
timeline, where those of `dagster job execute` are missing, for they do not say to which code location they belong.
"""

from __future__ import annotations

import sys

from dagster import DagsterInstance

from pipekit_dagster.dagster_internals.launching import create_run
from pipekit_dagster.serve.home import LOCATION
from pipekit_dagster.worker import main as execute


def main(job: str) -> int:
    """Execute the job; 0 for a success. Raises DagsterInvariantViolationError for an unknown one."""
    with DagsterInstance.get() as instance:
        run_id = create_run(instance, "pipekit_dagster.definitions", job, LOCATION)
        failed = execute(run_id)
        run = instance.get_run_by_id(run_id)
    return failed or int(run is None or not run.is_success)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
