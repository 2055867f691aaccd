"""`python -m pipekit_dagster.serve.daemon`: Dagster's daemon, as long as its server leads. Started by the supervisor."""

from __future__ import annotations

import os

from pipekit_dagster.dagster_internals.code_server import watch_closely
from pipekit_dagster.serve.lease import LEASE_VARIABLE, work_under
from pipekit_engine.config import load_config


def main() -> None:
    """Run Dagster's daemon with this process's arguments."""
    token = os.environ.pop(LEASE_VARIABLE, "")
    if token:
        work_under(load_config().database_url, token)
    # Dagster's import takes a while: the lease is watched before.
    from pipekit_dagster.dagster_internals.daemon import run_daemon

    watch_closely()
    run_daemon()


if __name__ == "__main__":
    main()
