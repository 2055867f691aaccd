"""Which kinds of databases a JVM will be asked to reach: it prepares the first connection to each while Python is still busy.

Imports as little as it can, since it is asked before anything else: the state is read by SQL of its own. It may be wrong in any
way without harm: the connection that was not prepared takes longer.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

#: More are prepared by nobody: the time that Python takes is over.
_MOST = 3
_KINDS = """
SELECT DISTINCT d.kind FROM connection c JOIN driver d ON d.name = c.driver
WHERE :module IS NULL OR EXISTS (SELECT 1 FROM module m WHERE m.name = :module AND c.name IN (m.source, m.dest))
"""


def kinds_used(database: str, module: str | None = None) -> tuple[str, ...]:
    """The kinds of a module's two connections, or of all, by a state store in SQLite; none where that is no file of one."""
    if not os.path.isfile(database):
        return ()
    try:
        with closing(sqlite3.connect(f"file:{quote(database)}?mode=ro", uri=True, timeout=0)) as store:
            return tuple(kind for (kind,) in store.execute(_KINDS, {"module": module}).fetchmany(_MOST))
    except sqlite3.Error:
        return ()
