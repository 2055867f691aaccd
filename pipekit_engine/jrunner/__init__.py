"""The Python side of jrunner, the Java program that touches remote databases.

from pipekit_engine.jrunner import OpenRequest, Session

with Session() as session:
    session.open(OpenRequest("demo", "jdbc:sqlite:demo.db", ["/usr/share/java/sqlite-jdbc.jar"]))
    print(session.query("demo", "SELECT count(*) FROM flights").first)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.common.lazy import names_from

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.common.progress import Progress
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerDied, JRunnerError
    from pipekit_engine.jrunner.pool import SessionPool
    from pipekit_engine.jrunner.protocol import (
        ColumnPair,
        ExecuteResult,
        MigrateRequest,
        MigrateResult,
        OpenRequest,
        OpenResult,
        QueryResult,
        Statement,
    )

__all__ = [
    "Column",
    "ColumnPair",
    "ExecuteResult",
    "JRunnerCancelled",
    "JRunnerDied",
    "JRunnerError",
    "MigrateRequest",
    "MigrateResult",
    "OpenRequest",
    "OpenResult",
    "Progress",
    "QueryResult",
    "Session",
    "SessionPool",
    "Statement",
]

_HOMES = {
    "Column": "pipekit_engine.common.columns",
    "ColumnPair": "pipekit_engine.jrunner.protocol",
    "ExecuteResult": "pipekit_engine.jrunner.protocol",
    "JRunnerCancelled": "pipekit_engine.jrunner.errors",
    "JRunnerDied": "pipekit_engine.jrunner.errors",
    "JRunnerError": "pipekit_engine.jrunner.errors",
    "MigrateRequest": "pipekit_engine.jrunner.protocol",
    "MigrateResult": "pipekit_engine.jrunner.protocol",
    "OpenRequest": "pipekit_engine.jrunner.protocol",
    "OpenResult": "pipekit_engine.jrunner.protocol",
    "Progress": "pipekit_engine.common.progress",
    "QueryResult": "pipekit_engine.jrunner.protocol",
    "Session": "pipekit_engine.jrunner.client",
    "SessionPool": "pipekit_engine.jrunner.pool",
    "Statement": "pipekit_engine.jrunner.protocol",
}

# Starting a JVM needs none of them.
__getattr__ = names_from(__name__, _HOMES)
