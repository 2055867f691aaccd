"""Starting jrunner as the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.jrunner.client import Session
from pipekit_engine.jrunner.lending import borrow
from pipekit_engine.jrunner.starting import take_started

if TYPE_CHECKING:
    from pipekit_engine.config import Config


def start_session(config: Config) -> Session:
    """A session of the external jrunner that the configuration names, or of pipekit's own."""
    from pipekit_engine.jrunner.external import ExternalSession

    settings = config.jrunner
    if settings.command:
        return ExternalSession(settings.command, java=settings.java, heap=settings.heap, cwd=config.folder)
    return start_own_session(config)


def start_own_session(config: Config) -> Session:
    """A session of pipekit's own jrunner: an external one knows no metadata."""
    settings = config.jrunner
    started = take_started(config)
    lent = None if started else borrow(config)
    return Session(java=settings.java, heap=settings.heap, cwd=config.folder, lent=lent, started=started)
