"""The values that watermarks have in a run: overridden, asked of their resolvers, or their defaults."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import SourceError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.models import ResolvedWatermark
from pipekit_engine.sql.greatest import gives_one_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipekit_engine.databases.connections import ModuleConnections
    from pipekit_engine.models import Watermark

#: How far clocks and time zones may differ before a time counts as future.
_CLOCK_DIFFERENCE = timedelta(days=2)
_DAY = re.compile(r"\s*(\d{4,})-(\d\d)-(\d\d)(?!\d)")


class WatermarkResolver:
    """Resolves the watermarks of one module, live."""

    def __init__(
        self, connections: ModuleConnections, overrides: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._connections = connections
        self._module = connections.module
        self._overrides = overrides
        self._say = say
        #: Watermarks that took their default because their resolver's table is missing, and what the database said.
        self._missing_tables: dict[str, JRunnerError] = {}

    def resolve_all(self) -> dict[str, ResolvedWatermark]:
        """The values by name. Raises SourceError for a resolver that fails, or gives nothing where there is no default."""
        resolved: dict[str, ResolvedWatermark] = {}
        for watermark in self._module.watermarks:
            name = watermark.name
            result = resolved[name] = self._resolve(watermark)
            self._say(f"{{{name}}} = {result.value!r} ({result.origin})")
            if result.origin == "resolver" and watermark.connection == self._module.dest and is_future(result.value):
                self._say(
                    f"warning: {{{name}}} lies in the future, so what changes until then is not found: mend the rows "
                    "with such a time, or leave them out in the resolver"
                )
        return resolved

    def _resolve(self, watermark: Watermark) -> ResolvedWatermark:
        name = watermark.name
        if name in self._overrides:
            return ResolvedWatermark(value=self._overrides[name], origin="override")
        opened = self._connections.open(watermark.connection, "read")
        value: str | None = None
        sql = watermark.resolver_sql
        limit = not gives_one_row(sql, opened.dialect.capabilities.syntax)
        try:
            value = self._connections.session.query(
                opened.handle, sql, limit=limit, cancel=self._connections.cancel
            ).first
        except JRunnerError as error:
            missing = opened.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message)
            if not (missing and watermark.default is not None):
                raise SourceError(
                    f"The resolver of watermark {name} failed on connection {watermark.connection}: {error}"
                ) from error
            # The first run: the destination that the resolver asks is not there yet.
            self._missing_tables[name] = error
            self._say(f"watermark {name}: {first_line(error)}; taking the default")
        if value is not None:
            return ResolvedWatermark(value=value, origin="resolver")
        if watermark.default is not None:
            return ResolvedWatermark(value=watermark.default, origin="default")
        raise SourceError(
            f"The resolver of watermark {name} gave no value, and it has no default. Give it a `default`, "
            f"or set it for this run with --set {name}=VALUE.\nin: {watermark.resolver_sql}"
        )

    def refuse_missing_tables(self) -> None:
        """Raise SourceError if a resolver's table is missing though the destination exists.

        Before the first run that is usual. Later it is a mistake: the default would move all rows once more.
        """
        for name, error in self._missing_tables.items():
            raise SourceError(
                f"The resolver of watermark {name} asks a table that is not there, though the destination "
                f"{self._module.dest_table} is: {error}\nIts default would move rows again that came before. Mend the resolver, "
                f"or set the value for this run with --set {name}=VALUE."
            )


def is_future(value: str) -> bool:
    """Whether a value is a time that lies in the future, as databases write times; False for what is no time.

    Such as `2124-05-01 10:00:00.123`, `2124-05-01T10:00:00Z`, `infinity`.
    """
    if value.strip() == "infinity":
        return True
    match = _DAY.match(value)
    if match is None:
        return False
    latest = datetime.now(timezone.utc) + _CLOCK_DIFFERENCE
    return tuple(map(int, match.groups())) > (latest.year, latest.month, latest.day)
