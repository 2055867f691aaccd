"""`python -m pipekit_dagster.workers.consumer`: takes runs from the broker and starts their processes. Started by `host`.

It ends on SIGTERM; the processes of its runs go on, and say themselves that they live and how they ended.
"""

from __future__ import annotations

import argparse
import logging
import sys

from dagster import DagsterInstance

from pipekit_dagster.launcher import PipekitRunLauncher
from pipekit_dagster.workers.broker import Broker
from pipekit_engine.config import load_config
from pipekit_engine.store import Store

_log = logging.getLogger("pipekit.workers")


def main() -> None:
    """Take runs until told to stop."""
    parser = argparse.ArgumentParser(prog="pipekit_dagster.workers.consumer")
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--queue", action="append", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    config = load_config()
    with Store.open(config.database_url) as store, DagsterInstance.get() as instance:
        launcher = PipekitRunLauncher()
        launcher.register_instance(instance)

        def work(run_id: str) -> None:
            # A look costs less than a process, which takes the run itself.
            if store.dispatches.is_open(run_id):
                launcher.run_here(run_id, store)

        _log.info("takes up to %d runs at once from queue %s", options.at_once, ", ".join(options.queue))
        Broker(config).consume(work, options.queue, options.at_once)


if __name__ == "__main__":
    main()
