"""The code location: what the configuration in force defines. `workspace.yaml` names this module."""

from __future__ import annotations

import gc
import os
import warnings

from dagster import BetaWarning

from pipekit_dagster.build import build_pipekit_definitions
from pipekit_dagster.serve.home import PREPARE_SNAPSHOTS

# Dagster warns of its own beta parameters when it copies a sensor; nobody here can act on it.
warnings.filterwarnings("ignore", category=BetaWarning, module=r"dagster\.")

# Building makes hundreds of thousands of objects that all stay: looking through them again and again for garbage costs a fifth
# of the time.
gc.disable()
try:
    defs = build_pipekit_definitions()
    if os.environ.get(PREPARE_SNAPSHOTS):
        # Web server and daemon ask at the same moment, and the job snapshots would be made twice, side by side.
        for job in defs.get_repository_def().get_all_jobs():
            job.get_job_snapshot_id()
finally:
    gc.freeze()
    gc.enable()
