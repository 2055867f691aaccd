"""How a module run went, in Dagster's terms: metadata that the UI shows and plots."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.serve.home import PAGES
from pipekit_engine.common.visible import fenced, visible
from pipekit_engine.errors import RunError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from pipekit_engine.engine import RunResult
    from pipekit_engine.errors import PipekitError
    from pipekit_engine.models import Module, RunRecord

#: Gives the source columns that a column of the module's query is computed from.
ColumnDeps = Callable[[str], "list[dg.TableColumnDep]"]

_COUNTS = ("rows_read", "rows_staged", "rows_deleted", "rows_inserted", "rows_updated", "rows_unchanged")


def record_metadata(record: RunRecord) -> dict[str, Any]:
    """What is known of a run whatever its end. Numbers are numbers, so that Dagster plots them over time."""
    data: dict[str, Any] = {name: getattr(record, name) for name in _COUNTS if getattr(record, name) is not None}
    if record.bytes is not None:
        data["bytes"] = record.bytes
    if record.duration_s is not None:
        data["duration_s"] = dg.MetadataValue.float(record.duration_s)
        moved = record.rows_staged if record.rows_staged is not None else record.rows_read
        if moved is not None and record.duration_s > 0:
            data["rows_per_s"] = dg.MetadataValue.float(round(moved / record.duration_s, 1))
    for phase, seconds in record.timings.items():
        data[f"seconds/{phase}"] = dg.MetadataValue.float(float(seconds))
    for name, watermark in record.watermarks.items():
        data[f"watermark/{name}"] = dg.MetadataValue.text(f"{watermark.value} ({watermark.origin})")
    data["pipekit_run"] = dg.MetadataValue.text(str(record.id))  # a number would be plotted
    return data | page_metadata(f"runs/{record.id}")


def page_metadata(page: str) -> dict[str, dg.UrlMetadataValue]:
    """A link to one of pipekit's own pages, where they are served."""
    pages = os.environ.get(PAGES)
    return {"pipekit_page": dg.MetadataValue.url(f"{pages.rstrip('/')}/{page}")} if pages else {}


def dry_run_metadata(result: RunResult) -> Mapping[str, Any]:
    """Metadata of a dry run's output: what is known, and the plan."""
    data = record_metadata(result.record)
    if result.plan is not None:
        data["plan"] = dg.MetadataValue.md(fenced(result.plan.render()))
    return data


def materialization(
    asset_key: dg.AssetKey, column_deps: ColumnDeps, module: Module, result: RunResult
) -> dg.AssetMaterialization:
    """The event that a success adds to the destination's history."""
    record = result.record
    data = record_metadata(record)
    if record.partition is not None:
        data["partition"] = dg.MetadataValue.text(record.partition)
        if record.rows_inserted is not None:
            data["dagster/partition_row_count"] = record.rows_inserted
    elif STRATEGIES[module.strategy].replaces_table and record.rows_inserted is not None:
        # Only a full load knows how many rows the whole table has.
        data["dagster/row_count"] = record.rows_inserted + (record.rows_unchanged or 0)
    data["dagster/table_name"] = module.dest_table
    columns = result.plan.columns if result.plan is not None else ()
    if columns:
        data["dagster/column_schema"] = dg.TableSchema(
            columns=[dg.TableColumn(name=column.dest, type=column.dest_type) for column in columns]
        )
        deps = {column.dest: column_deps(column.source) for column in columns}
        if any(deps.values()):
            data["dagster/column_lineage"] = dg.TableColumnLineage(
                {name: found for name, found in deps.items() if found}
            )
    if record.source_sql:
        data["source_sql"] = dg.MetadataValue.md(fenced(record.source_sql))
    moved = record.rows_inserted if record.rows_inserted is not None else record.rows_staged
    return dg.AssetMaterialization(
        asset_key,
        description=f"{moved:,} rows" if moved is not None else None,
        metadata=data,
        partition=record.partition,
    )


def describe_failure(error: PipekitError) -> str:
    """The error for a person, with the run of pipekit that holds the rest."""
    return visible(f"{error}") + (f"\nMore: pipekit runs show {error.record.id}" if error.record is not None else "")


def failure_metadata(error: PipekitError) -> dict[str, Any]:
    """What is known of a failure: its kind, phase, the database's codes, whether the destination was changed."""
    data: dict[str, Any] = {
        "error": type(error).__name__,
        "merge_committed": isinstance(error, RunError) and error.merge_committed,
    }
    # What the database itself said: jrunner's error, from which the engine's was raised.
    cause = error if isinstance(error, JRunnerError) else error.__cause__
    if isinstance(cause, JRunnerError):
        said = {"phase": cause.phase, "sqlstate": cause.sqlstate, "vendor_code": cause.vendor_code}
        data.update({name: value for name, value in said.items() if value})
        if cause.statement:
            data["statement"] = dg.MetadataValue.md(fenced(cause.statement))
    if error.record is not None:
        data.update(record_metadata(error.record))
        if error.record.phase and "phase" not in data:
            data["phase"] = error.record.phase
    return data
