"""What only the databases can tell: each module is planned against them. No row moves, and nothing is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_engine.databases.browser import Browser
from pipekit_engine.databases.connections import Connections, GivenDefinitions
from pipekit_engine.databases.introspection import Catalog
from pipekit_engine.databases.names import quoted_name
from pipekit_engine.errors import ConfigurationError, ConnectError, DestinationError, PipekitError, SourceError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_session
from pipekit_engine.planning.indexes import compared_columns, is_indexed
from pipekit_engine.planning.planner import plan_module
from pipekit_engine.planning.remarks import find_origins
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.sql.query import read_query
from pipekit_engine.sql.text import sample_query
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.lint.subject import ReadModule, Subject
    from pipekit_engine.models import Module
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.sql.query import Lineage

_CODES: tuple[tuple[type[PipekitError], str], ...] = (
    (ConnectError, "PK601"),
    (SourceError, "PK602"),
    (DestinationError, "PK603"),
    (PipekitError, "PK605"),
)
#: A value that is a time or a date.
_TIME = re.compile(r"\d{4}-\d\d-\d\d")
#: Rows in which texts are looked at.
_TEXT_ROWS = 1_000_000
#: Where to look for each kind of error.
_FIELDS = {"PK601": "source", "PK602": "query", "PK603": "dest_table"}


def check_live(subject: Subject, config: Config) -> None:
    """Plan every enabled module on its databases: resolvers run, queries and destinations are described."""
    connections = {
        name: item for name, item in subject.known_connections.items() if item.driver in subject.known_drivers
    }
    secrets = Secrets.of(config)
    redactor = Redactor(secrets.values())
    opener = Connections(config, GivenDefinitions(connections, subject.known_drivers), secrets)
    with SessionPool(1, lambda: start_session(config)) as sessions:
        for read in subject.modules:
            module = read.module
            if not module.enabled or not _connections_of(module) <= connections.keys():
                continue
            try:
                with sessions.session() as session:
                    plan = plan_module(
                        module,
                        session,
                        opener,
                        staging_schema=config.staging_schema,
                        application_name=f"pipekit lint {module.name}",
                    )
                    unindexed = _unindexed_at_source(module, session, opener, plan)
                    _check_times(read, plan, Browser(session, opener.open(session, module.source, "read"), redactor))
            except PipekitError as error:
                code = next(code for kind, code in _CODES if isinstance(error, kind))
                loc = (_FIELDS[code],) if code in _FIELDS else ()
                read.report(code, redactor.clean(str(error)), loc=loc)
                continue
            for warning in plan.warnings:
                if warning.startswith("column "):  # placeholders are told by rules of their own
                    hint = "Give the column a dest_type in `columns` if that is not meant."
                    read.report("PK604", f"{warning}.", hint)
            for item in plan.missing_indexes:
                way = f"{item.ddl}; `pipekit tables fix {module.name}` does it." if item.ddl else ""
                message = f"{plan.dest_table} has no index on {', '.join(item.columns)}."
                read.report("PK607", message, way, loc=("dest_table",))
            for columns, table in unindexed:
                message = f"{table} has no index on {', '.join(columns)}: each run reads the whole table."
                read.report("PK608", message, "Ask for an index there, if the table is large.")


def _unindexed_at_source(
    module: Module, session: Session, opener: Connections, plan: RunPlan
) -> list[tuple[tuple[str, ...], str]]:
    """Columns of the one table that the query reads which want an index and have none, and that table; none for a view."""
    opened = opener.open(session, module.source, "read")
    dialect, catalog = opened.dialect, Catalog(session, opened.handle)
    query = read_query(plan.source_sql, dialect.capabilities.syntax)
    if (
        len(query.tables) != 1
        or not query.sources
        or not (module.merge_key or module.watermarks or module.partition or plan.split)
    ):
        return []
    try:
        table = dialect.table_name(quoted_name(query.tables[0]))
        found = dialect.list_tables(catalog, table.schema, table.catalog, table=table.name)
        if len(found) != 1 or found[0].kind != "table":
            return []
        indexes = dialect.get_indexes(catalog, table)
    except (JRunnerError, ConfigurationError):
        return []
    sources = {column.dest: column.source for column in plan.columns}
    origins = find_origins(dialect, plan.source_sql, [sources[name] for name in plan.key if name in sources])
    wanted: list[tuple[str, ...]] = [(name,) for name in compared_columns(module, dialect)]
    if STRATEGIES[module.strategy].needs_key and len(origins) == len(plan.key):
        wanted.append(tuple(column for _, column in origins.values()))
    if plan.split is not None:
        by = find_origins(dialect, plan.source_sql, plan.split.names)
        wanted += [tuple(column for _, column in by.values())] if by.keys() == set(plan.split.names) else []
    return [(names, dialect.table_sql(table)) for names in dict.fromkeys(wanted) if not is_indexed(names, indexes)]


def _check_times(read: ReadModule, plan: RunPlan, browser: Browser) -> None:
    """Whether the texts in a column that is compared with a watermark's times compare as these do."""
    module, dialect = read.module, browser.dialect
    query = read_query(module.query, dialect.capabilities.syntax)
    for use in read.uses:
        given = next((item.source for item in plan.columns if _is_column(query.column(item.source), use.column)), None)
        below = use.operator in (">", ">=", "between")
        if given is None or not below or not _TIME.match(plan.watermarks[use.name].value):
            continue
        sample = sample_query(module.query, dialect.capabilities.syntax)
        sql = dialect.text_times_sql([dialect.quote_identifier(given)], f"({sample})", _TEXT_ROWS)
        found = browser.preview(sql, 1).first if sql is not None else "0"
        value, operator = dialect.instant_sql(f"'{{{use.name}}}'"), ">" if use.operator == ">" else ">="
        column, instant = f"{use.column} (`{{{use.name}}}`)", dialect.instant_sql(use.column or given)
        if found == "1":
            read.report(
                "PK606",
                f"{column} keeps times as texts with an offset from UTC or in two forms, and they are compared as texts: rows "
                "that changed later are not found.",
                f"Compare `{instant} {operator} {value}`.",
                position=use.position,
            )
        elif found == "2":
            message = f"{column} keeps texts that have no order as times: rows that changed later are not found."
            read.report(
                "PK606", message, "Convert them in the query, or leave the watermark out.", position=use.position
            )


def _is_column(lineage: Lineage | None, column: str | None) -> bool:
    """Whether a column of the query is a table's column of this name, as it stands there."""
    origins = lineage.inputs if lineage is not None and lineage.copied else ()
    return column is not None and any(origin.column.casefold() == column.casefold() for origin in origins)


def _connections_of(module: Module) -> set[str]:
    """The names of all connections that a run of the module opens."""
    hooks = {hook.connection for hook in module.hooks if hook.connection is not None}
    return {module.source, module.dest, *(watermark.connection for watermark in module.watermarks), *hooks}
