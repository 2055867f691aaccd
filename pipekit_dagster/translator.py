"""`DagsterPipekitTranslator`: how pipekit's records look in Dagster. The one place to override."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.naming import dagster_name
from pipekit_engine.common.visible import fenced
from pipekit_engine.databases.dialects import GENERIC, kind_of_url
from pipekit_engine.operations.lineage import comparable, connection_syntax, source_tables, table_parts
from pipekit_engine.sql.query import read_query

if TYPE_CHECKING:
    from pipekit_engine.models import Connection, Definitions, Group, Module, Schedule, Trigger


#: What Dagster takes for a mail address, and as the value of an asset's tag.
_MAIL = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}\b")
_ASSET_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")


def connection_kind(connection: Connection | None) -> str:
    """The kind of database behind a connection, such as `postgresql`, by which Dagster's UI chooses an icon.

    It is the kind whose driver takes the JDBC URL, else the URL's sub-protocol.
    """
    if connection is None:
        return ""
    kind = kind_of_url(connection.jdbc_url)
    return kind if kind != GENERIC else dagster_name(connection.jdbc_url.split(":")[1].lower())


class DagsterPipekitTranslator:
    """Names, tags, pools and assets of modules, groups, schedules and triggers.

    Override what should differ, and pass an instance to `build_pipekit_definitions`:

        from pipekit_dagster import DagsterPipekitTranslator, build_pipekit_definitions

        class Mine(DagsterPipekitTranslator):
            def op_tags(self, module, definitions):
                return {**super().op_tags(module, definitions), "team": "warehouse"}

        defs = build_pipekit_definitions(translator=Mine())

    Names that meet another's are given a short hash afterwards. All methods are pure: they are called each time that the code
    location loads.
    """

    def op_name(self, module: str) -> str:
        """Name of a module's op."""
        return dagster_name(module)

    def job_name(self, group: str) -> str:
        """Name of a group's job."""
        return dagster_name(group)

    def schedule_name(self, schedule: str) -> str:
        """Name of a schedule. Dagster keeps its state by this name."""
        return dagster_name(schedule)

    def sensor_name(self, trigger: str) -> str:
        """Name of a trigger's sensor. Dagster keeps its state by this name."""
        return dagster_name(trigger)

    def op_tags(self, module: Module, definitions: Definitions) -> Mapping[str, str]:
        """Tags of a module's op: source, destination, strategy and the module's own."""
        destination = connection_kind(definitions.connections.get(module.dest))
        tags = {
            "pipekit/module": module.name,
            "pipekit/source": module.source,
            "pipekit/destination": f"{module.dest}/{module.dest_table}",
            "pipekit/strategy": module.strategy,
        }
        if destination:
            tags[f"dagster/kind/{destination}"] = ""
        return {**tags, **{key: value for key, value in module.tags.items() if _is_tag(key, value)}}

    def job_tags(self, group: Group, definitions: Definitions) -> Mapping[str, str]:
        """Further tags of a group's job, and so of its runs."""
        return {}

    def pool(self, module: Module, definitions: Definitions) -> str | None:
        """The Dagster pool of a module's op: the first by name of its connections with `max_parallel`; None without one."""
        return min(self._pools(module, definitions), default=None)

    def more_pools(self, module: Module, definitions: Definitions) -> Sequence[str]:
        """Further pools, in the order in which the op waits for a place in them once it has begun: one order for all ops."""
        return sorted(self._pools(module, definitions) - {self.pool(module, definitions)})

    def _pools(self, module: Module, definitions: Definitions) -> set[str]:
        limits = definitions.connection_limits
        return {self.pool_name(name) for name in (module.source, module.dest) if name in limits}

    def pool_name(self, connection: str) -> str:
        """Name of the pool of a connection."""
        return f"pipekit_{dagster_name(connection)}"

    def dest_key(self, module: Module, definitions: Definitions) -> dg.AssetKey:
        """Asset key of a module's destination table: connection, schema, table."""
        return dg.AssetKey([module.dest, *table_parts(module.dest_table, connection_syntax(module.dest, definitions))])

    def source_key(self, module: Module, table: Sequence[str]) -> dg.AssetKey:
        """Asset key of a table that a module's query reads; without parts of a name, of the connection as a whole."""
        return dg.AssetKey([module.source, *table])

    def source_keys(self, module: Module, definitions: Definitions) -> list[dg.AssetKey]:
        """Asset keys of the tables that a module's query reads."""
        tables = source_tables(module.query, connection_syntax(module.source, definitions))
        dest = self.dest_key(module, definitions)
        return [key for key in (self.source_key(module, table) for table in tables or [()]) if key != dest]

    def column_deps(self, module: Module, definitions: Definitions, column: str) -> list[dg.TableColumnDep]:
        """The columns that a column of a module's query is computed from; none where the query does not tell for sure."""
        syntax = connection_syntax(module.source, definitions)
        lineage = read_query(module.query, syntax).column(column)
        return [
            dg.TableColumnDep(self.source_key(module, comparable(origin.table, syntax)), origin.column)
            for origin in (lineage.inputs if lineage else ())
        ]

    def asset_group(self, module: Module, definitions: Definitions) -> str:
        """Asset group of a module's destination: its connection."""
        return dagster_name(module.dest)

    def asset_tags(self, module: Module, definitions: Definitions) -> Mapping[str, str]:
        """Tags of a module's destination asset: source, strategy and those of the module's own that Dagster takes."""
        tags = {"pipekit/source": module.source, "pipekit/strategy": module.strategy, **module.tags}
        return {key: value for key, value in tags.items() if _is_asset_tag(key, value)}

    def asset_owners(self, module: Module, definitions: Definitions) -> Sequence[str]:
        """Owners of a module's destination asset: its `owners`, and its tag `owner`; mail addresses or names of teams."""
        named = (owner.strip().removeprefix("team:") for owner in (*module.owners, module.tags.get("owner", "")))
        owners = (owner if _MAIL.fullmatch(owner) else f"team:{owner}" for owner in named if owner)
        return list(dict.fromkeys(owners))

    def asset_metadata(self, module: Module, definitions: Definitions) -> Mapping[str, Any]:
        """Metadata of a module's destination asset."""
        return {
            "dagster/table_name": module.dest_table,
            "strategy": module.strategy,
            "merge_key": ", ".join(module.merge_key) or "-",
            "query": dg.MetadataValue.md(fenced(module.query)),
            **{f"watermark/{mark.name}": dg.MetadataValue.md(fenced(mark.resolver_sql)) for mark in module.watermarks},
            **{
                f"hook/{number}": dg.MetadataValue.md(fenced(hook.sql))
                for number, hook in enumerate(module.ordered_hooks, start=1)
            },
        }

    def schedule_description(self, schedule: Schedule) -> str:
        """What the UI says below a schedule's name."""
        grace = f"; skipped when more than {schedule.misfire_grace} s late" if schedule.misfire_grace else ""
        return f"Runs group {schedule.group} at {schedule.cron} ({schedule.timezone}){grace}."

    def trigger_description(self, trigger: Trigger) -> str:
        """What the UI says below a trigger's name."""
        if trigger.kind == "group":
            return f"Runs group {trigger.group} after group {trigger.after} has succeeded."
        return f"Runs group {trigger.group} when the answer on {trigger.connection} changes:\n\n{fenced(trigger.sql or '')}"


def _is_tag(key: str, value: str) -> bool:
    """Whether Dagster takes this as a tag of an op.

    It refuses some characters in keys, which would keep the location from loading, and a priority that is no whole number, which
    would end every run with the op before its first step. A module's own tags must not do that to others.
    """
    if key == "dagster/priority" and not re.fullmatch(r"-?[0-9]{1,9}", value):
        return False
    return bool(re.fullmatch(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}", key))


def _is_asset_tag(key: str, value: str) -> bool:
    """Whether Dagster takes this as a tag of an asset, of which it asks more than of an op's."""
    return _is_tag(key, value) and not key.startswith("dagster/") and bool(_ASSET_TAG_VALUE.fullmatch(value))
