"""Reads in ranges, as the planner asks jrunner for them."""

from __future__ import annotations

from collections.abc import Sequence

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.jrunner import Session
from pipekit_engine.jrunner.protocol import SplitRequest
from pipekit_engine.planning.ranges import divide_by_key
from pipekit_engine.planning.split import PlannedSplit


def split_request(
    session: Session, connection: str, kind: str, sql: str, by: Sequence[str], *, rows: int, lanes: int = 3
) -> SplitRequest:
    """What reads a query in ranges of `rows` by these of its columns."""
    described = {column.name.lower(): column for column in session.describe(connection, sql=sql)}
    columns = [described[name.lower()] for name in by]
    ranges = divide_by_key(get_dialect(kind), sql, columns, rows, table_columns=[column.name for column in columns])
    assert not isinstance(ranges, str), ranges
    return PlannedSplit(lanes, "", ranges).request
