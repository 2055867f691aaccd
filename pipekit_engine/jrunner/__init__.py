"""The Python side of jrunner, the Java program that touches remote databases.

from pipekit_engine.jrunner import OpenRequest, Session

with Session() as session:
    session.open(OpenRequest("demo", "jdbc:sqlite:demo.db", ["/usr/share/java/sqlite-jdbc.jar"]))
    print(session.query("demo", "SELECT count(*) FROM flights").first)
"""

from __future__ import annotations

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
