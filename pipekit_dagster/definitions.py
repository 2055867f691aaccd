"""The code location: what the configuration in force defines. `workspace.yaml` names this module."""

from __future__ import annotations

import warnings

from dagster import BetaWarning

from pipekit_dagster.build import build_pipekit_definitions

# Dagster warns of its own beta parameters when it copies a sensor; nobody here can act on it.
warnings.filterwarnings("ignore", category=BetaWarning, module=r"dagster\.")

defs = build_pipekit_definitions()
