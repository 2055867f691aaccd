"""What the checks of modules found last: one result a check, gone with its module."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipekit_engine.records.checks import CheckResult
from pipekit_engine.store.runs import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipekit_engine.store.database import Database


class CheckStore:
    """Remembers the newest result of each check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, module: str, results: Sequence[CheckResult], *, keep: Collection[str]) -> None:
        """Keep these instead of earlier results of the same checks, and forget those of checks that are not in `keep`.

        Nothing happens when the module is gone.
        """
        with self._database.plain_write() as transaction:
            module_id = transaction.execute("SELECT id FROM module WHERE name = :name", {"name": module}).scalar()
            if module_id is None:
                return
            named = {"module_id": module_id}
            known = transaction.execute("SELECT name FROM check_result WHERE module_id = :module_id", named).scalars()
            for name in {*known} - {*keep} | {result.name for result in results}:
                transaction.execute(
                    "DELETE FROM check_result WHERE module_id = :module_id AND name = :name", {**named, "name": name}
                )
            for result in results:
                transaction.execute(
                    "INSERT INTO check_result (module_id, name, status, run_id, checked_at, result) "
                    "VALUES (:module_id, :name, :status, :run_id, :checked_at, :result)",
                    {
                        **named,
                        "name": result.name,
                        "status": result.status,
                        "run_id": result.run_id,
                        "checked_at": result.checked_at,
                        "result": storable(result.model_dump_json(exclude_defaults=True)),
                    },
                )

    def last(self, module: str | None = None, *, run_id: int | None = None) -> dict[str, list[CheckResult]]:
        """The newest results by module, by the names of the checks; of one module or run if it is named."""
        asked = {"module.name": module, "check_result.run_id": run_id}
        values = {f"v{number}": value for number, value in enumerate(asked.values()) if value is not None}
        wanted = [f"{column} = :v{number}" for number, (column, value) in enumerate(asked.items()) if value is not None]
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        query = (
            "SELECT module.name AS module, check_result.result FROM check_result "
            f"JOIN module ON module.id = check_result.module_id{where} ORDER BY module.name, check_result.name"
        )
        with self._database.plain_read() as transaction:
            rows = transaction.execute(query, values).rows
        found: dict[str, list[CheckResult]] = {}
        for row in rows:
            found.setdefault(row["module"], []).append(
                CheckResult(**{**json.loads(row["result"]), "module": row["module"]})
            )
        return found
