"""Databases that commit DDL at once, or refuse it in a transaction, get none between a merge's statements."""

from __future__ import annotations

import re

import pytest

from pipekit_engine.databases.dialects import get_dialect, kinds
from tests.planning.test_plan import plan

AT_ONCE = [kind for kind in kinds() if not get_dialect(kind).capabilities.transactional_ddl]


@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
@pytest.mark.parametrize("kind", AT_ONCE)
def test_a_merge_holds_no_ddl(kind: str, strategy: str) -> None:
    """In GTID mode MySQL refuses CREATE TABLE ... SELECT and temporary tables in a transaction (errors 1786 and 1787)."""
    for exists in (False, True):
        made = plan(kind, strategy, exists=exists)
        assert made.merge
        for statement in (*made.merge, *made.usual_merge):
            assert not re.match(r"\s*(?:CREATE|ALTER|DROP|TRUNCATE|RENAME)\b", statement.sql, re.IGNORECASE)
