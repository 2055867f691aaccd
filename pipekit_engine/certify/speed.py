"""How fast rows get in, by the path that pipekit takes and in batches of several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.certify.bench import TYPED
from pipekit_engine.certify.outcomes import Check
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import MigrateRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.certify.bench import Bench

#: Rows a measurement, and the sizes of batches that are tried.
ROWS = 20_000
BATCHES = (100, 1_000, 5_000)


def speed_checks() -> Iterator[Check]:
    """One measurement."""
    yield Check("speed", "rows a second", _measure)


def _measure(bench: Bench) -> str:
    query = (
        'SELECT X AS "id", CAST(\'name \' || X AS VARCHAR(40)) AS "name", CAST(X AS NUMERIC(12,2)) / 100 AS "price", '
        f"DATEADD(SECOND, X, TIMESTAMP '2024-01-01 00:00:00') AS \"at\" FROM SYSTEM_RANGE(1, {ROWS})"
    )
    described = bench.session.describe(bench.open(TYPED, "read").handle, sql=query)
    table = bench.create("speed", *((column.name, bench.dialect.map_type(column, H2()).sql) for column in described))

    def rate(path: str, batch: int | None = None) -> tuple[int, str]:
        request = MigrateRequest(
            source=bench.open(TYPED, "read").handle,
            sql=query,
            dest=bench.open().handle,
            table=table,
            path=path,
            batch_rows=batch,
            clear=True,
        )
        done = bench.session.migrate(request, cancel=bench.cancel)
        return round(ROWS * 1000 / max(done.elapsed_ms, 1)), done.path

    rate("auto")  # the first one warms everything up
    fastest, path = rate("auto")
    said = f"{path}: {fastest:,} rows/s"
    try:
        by_size = {size: rate("batch", size)[0] for size in BATCHES}
    except JRunnerError as error:
        if "is not possible" not in error.message:
            raise
        return f"{said}; no other path"  # rows never go in by batches there
    best = max(by_size, key=lambda size: by_size[size])
    return f"{said}; best batches: {best:,} rows, {by_size[best]:,} rows/s"
