"""The code location: what the configuration in force defines. `workspace.yaml` names this module."""

from __future__ import annotations

from pipekit_dagster.build import build_pipekit_definitions

defs = build_pipekit_definitions()
