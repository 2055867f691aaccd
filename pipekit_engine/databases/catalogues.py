"""SQL on catalogues that several kinds share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base import literal

if TYPE_CHECKING:
    from pipekit_engine.databases.names import TableName


def view_in(catalogue: str, table: TableName, schema_column: str, name_column: str, current: str) -> str:
    """Asks a catalogue of views for a table, in its schema or the current one."""
    schema = literal(table.schema) if table.schema else current
    return f"SELECT 1 FROM {catalogue} WHERE {schema_column} = {schema} AND {name_column} = {literal(table.name)}"
