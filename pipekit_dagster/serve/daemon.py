"""`python -m pipekit_dagster.serve.daemon`: Dagster's daemon, as long as its server leads. Started by the supervisor."""

from __future__ import annotations

import os
import runpy

from pipekit_dagster.dagster_internals.code_server import DAEMON_MODULE
from pipekit_dagster.serve.lease import LEASE_VARIABLE, work_under
from pipekit_engine.config import load_config


def main() -> None:
    """Run Dagster's daemon with this process's arguments."""
    token = os.environ.pop(LEASE_VARIABLE, "")
    if token:
        work_under(load_config().database_url, token)
    runpy.run_module(DAEMON_MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
