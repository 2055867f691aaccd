"""`python -m pipekit_dagster.workers.consumer`: takes runs from the broker and starts their processes. Started by `host`.

It ends on SIGTERM; the processes of its runs go on, and say themselves that they live and how they ended. With `--members` it
takes members of groups instead, and runs them in its own process: on SIGTERM it takes no more and waits for those at work.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from pipekit_dagster.launcher import PipekitRunLauncher
from pipekit_dagster.workers.broker import Broker
from pipekit_dagster.workers.work import MemberWorker
from pipekit_engine.config import load_config
from pipekit_engine.engine import Engine
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.workers")


def main() -> None:
    """Take runs until told to stop."""
    parser = argparse.ArgumentParser(prog="pipekit_dagster.workers.consumer")
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--queue", action="append", required=True)
    parser.add_argument("--members", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    config = load_config()
    with ExitStack() as stack:
        work = (_members if options.members else _runs)(stack, config, options.at_once)
        _log.info("takes up to %d at once from queue %s", options.at_once, ", ".join(options.queue))
        Broker(config).consume(work, options.queue, options.at_once)


def _runs(stack: ExitStack, config: Config, at_once: int) -> Callable[[str], None]:
    store = stack.enter_context(Store.open(config.database_url))
    launcher = PipekitRunLauncher()
    launcher.register_instance(stack.enter_context(DagsterInstance.get()))

    def work(run_id: str) -> None:
        # A look costs less than a process, which takes the run itself.
        if store.dispatches.is_open(run_id):
            launcher.run_here(run_id, store)

    return work


def _members(stack: ExitStack, config: Config, at_once: int) -> Callable[[str], None]:
    return MemberWorker(stack.enter_context(Engine(config)), at_once).run


if __name__ == "__main__":
    main()
