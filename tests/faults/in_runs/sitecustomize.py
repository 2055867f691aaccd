"""Imported by every Python that `pipekit serve` starts below a test of `tests.faults.served`: runs wait at their checkpoints.

A run connects to the socket that the test listens on, sends the name of each checkpoint that it comes to, a line each, and
goes on when a line comes back; after "free" it asks no more.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VARIABLE, PATCHED = "PIPEKIT_TEST_CHECKPOINTS", "pipekit_engine.running.phases"


class Channel:
    """To the test. Opened when a run has come to its first checkpoint: processes that are forked later share nothing."""

    def __init__(self) -> None:
        self._lines: Any = None
        self._free = False

    def reach(self, name: str) -> None:
        """Tell the test, and wait."""
        if self._free:
            return
        if self._lines is None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(os.environ[VARIABLE])
            except OSError:
                self._free = True  # nobody listens: a run that no test asked for
                return
            self._lines = connection.makefile("rw", encoding="utf-8")
        self._lines.write(name + "\n")
        self._lines.flush()
        self._free = self._lines.readline().strip() != "go"


class Patch(MetaPathFinder, Loader):
    """Patches the phases of a run when they are imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != PATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        self._real, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        from pipekit_engine.running.monitor import RunMonitor

        channel, phases = Channel(), module.Phases
        enter, renew = RunMonitor.enter, phases._assert_lock

        def enter_and_wait(monitor: RunMonitor, phase: str) -> None:
            enter(monitor, phase)
            channel.reach(phase)

        def renew_and_wait(running: Any) -> None:
            renew(running)
            channel.reach("before commit")

        RunMonitor.enter, phases._assert_lock = enter_and_wait, renew_and_wait  # type: ignore[method-assign]


if VARIABLE in os.environ:
    sys.meta_path.insert(0, Patch())
