"""Rules across records: tables with several writers, groups that nothing runs, secrets in clear."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import quoted_name
from pipekit_engine.databases.urls import url_holds_secret
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.security.redact import is_secret_name
from pipekit_engine.security.secrets import reference_key
from pipekit_engine.sql.query import read_query
from pipekit_engine.sql.text import spans
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.lint.subject import ReadModule, Subject
    from pipekit_engine.models import DefinitionKind, Schedule, Trigger
    from pipekit_engine.sql.syntax import SqlSyntax

#: In a literal: a connection string's `password=...`. A `$VAR`, a placeholder or stars are none.
_IN_LITERAL = re.compile(r"\b(?:password|passwd|pwd)\s*=\s*(?![$*{?:@\s;'])\S", re.IGNORECASE)
#: What stands before a literal that is a password itself.
_BEFORE_LITERAL = re.compile(r"\b(?:(?:password|passwd|pwd)\s*=?|identified\s+by)\s*\Z", re.IGNORECASE)
_IDENTIFIED_BY = re.compile(r"\bidentified\s+by\s+(?!values\b)\w", re.IGNORECASE)


def secret_in_sql(sql: str, syntax: SqlSyntax) -> int | None:
    """Position of what looks like a password in SQL; None when there is nothing like it."""
    position, before = 0, ""
    for span in spans(sql, syntax):
        if span.kind == "string":
            inner = span.text[1:-1]
            if match := _IN_LITERAL.search(span.text):
                return position + match.start()
            if inner and inner[0] not in "$*{" and _BEFORE_LITERAL.search(before):
                return position
        elif span.kind == "code" and (match := _IDENTIFIED_BY.search(span.text)):
            return position + match.start()
        before = span.text if span.kind == "code" else ""
        position += len(span.text)
    return None


def check_writers(subject: Subject) -> None:
    """Tables that several modules write, one of them as a whole."""
    writers: dict[tuple[str, tuple[str, ...]], list[ReadModule]] = {}
    for read in subject.modules:
        if not read.module.enabled:
            continue
        table: tuple[str, ...] = (read.module.dest_table.casefold(),)
        if read.dest is not None:
            try:
                table = tuple(part.casefold() for part in read.dest.table_name(read.module.dest_table).parts)
            except ConfigurationError:
                continue
        writers.setdefault((read.module.dest, table), []).append(read)
    for reads in writers.values():
        for read in reads:
            others = [other.module.name for other in reads if other is not read]
            if others and STRATEGIES[read.module.strategy].replaces_table:
                whole = "a partition at a time" if read.module.partition else "as a whole"
                message = f"replaces {read.module.dest_table} {whole}, which {', '.join(others)} writes too."
                fix = "Give them tables of their own, or use upsert or incremental with different keys."
                read.report("PK302", message, fix, loc=("dest_table",))


def check_own_source(subject: Subject) -> None:
    """Modules that read the table that they replace or add to."""
    for read in subject.modules:
        module = read.module
        ends = [subject.known_connections.get(name) for name in (module.source, module.dest)]
        if read.source is None or read.dest is None or None in ends or not read.readable:
            continue
        same = len({end.jdbc_url.partition("?")[0] for end in ends if end is not None}) == 1
        strategy = STRATEGIES[module.strategy]
        if not same or (strategy.rereads and not strategy.replaces_table):
            continue
        try:
            written = read.dest.table_name(module.dest_table)
            tables = [
                read.source.table_name(quoted_name(parts)) for parts in read_query(module.query, read.syntax).sources
            ]
        except ConfigurationError:
            continue
        for table in tables:
            if table.name.casefold() == written.name.casefold() and _same_schema(table, written):
                lost = (
                    "what others write meanwhile is lost" if strategy.replaces_table else "each run adds its rows again"
                )
                message = f"reads {module.dest_table}, the table that it writes: {lost}."
                read.report("PK304", message, "Name another dest_table.", loc=("dest_table",))
                break


def _same_schema(one: TableName, other: TableName) -> bool:
    return one.schema is None or other.schema is None or one.schema.casefold() == other.schema.casefold()


def check_groups(subject: Subject, *, whole: bool) -> None:
    """Groups that nothing runs, and modules in none. `whole`: the definitions are all there are, not a part."""
    definitions = subject.definitions
    awaited = {schedule.group for schedule in definitions.schedules.values()}
    awaited |= {trigger.group for trigger in definitions.triggers.values()}
    members = {member for group in definitions.groups.values() for member in group.members}
    if whole:
        for group in definitions.groups.values():
            if group.name not in awaited:
                message = "no schedule and no trigger runs it."
                subject.report("PK401", "groups", group.name, message, "Add a schedule, or run it by hand.")
        for name, module in definitions.modules.items():
            if name not in members and module.enabled:
                subject.report("PK402", "modules", name, "is in no group.", "Add it to one, or run it by hand.")
    for schedule in definitions.schedules.values():
        if schedule.enabled:
            _runs_something(subject, "schedules", schedule)
    for trigger in definitions.triggers.values():
        if trigger.enabled:
            _runs_something(subject, "triggers", trigger)
    _circles(subject)


def _runs_something(subject: Subject, kind: DefinitionKind, runner: Schedule | Trigger) -> None:
    group, modules = subject.definitions.groups.get(runner.group), subject.definitions.modules
    if group is None or not all(name in modules for name in group.members):
        return
    if not any(modules[name].enabled for name in group.members):
        message = f"runs group {group.name}, whose modules are all disabled."
        subject.report("PK403", kind, runner.name, message, "Enable one, or disable this.", loc=("group",))


def _circles(subject: Subject) -> None:
    follows: dict[str, list[str]] = {}
    for trigger in subject.definitions.triggers.values():
        if trigger.kind == "group" and trigger.enabled and trigger.after is not None:
            follows.setdefault(trigger.after, []).append(trigger.group)

    def path_back(start: str, group: str, seen: tuple[str, ...]) -> tuple[str, ...] | None:
        for after in follows.get(group, ()):
            if after == start:
                return (*seen, after)
            if after not in seen and (found := path_back(start, after, (*seen, after))):
                return found
        return None

    for trigger in subject.definitions.triggers.values():
        if trigger.kind == "group" and trigger.enabled and trigger.after is not None:
            circle = path_back(trigger.after, trigger.after, (trigger.after,))
            if circle and trigger.group in circle:
                message = f"groups run each other for ever: {' > '.join(circle)}."
                subject.report(
                    "PK404", "triggers", trigger.name, message, "Take one of the triggers away.", loc=("after",)
                )


def check_secrets(subject: Subject) -> None:
    """Secrets in clear. Their values are never repeated."""
    fix = "Use `password: $VAR`, set it with `pipekit secrets set VAR`, and change the password that was told."
    for name, connection in subject.definitions.connections.items():
        if url_holds_secret(connection.jdbc_url):
            subject.report("PK501", "connections", name, "jdbc_url holds a password.", fix, loc=("jdbc_url",))
        for key, value in connection.options.items():
            if is_secret_name(key) and reference_key(value) is None:
                subject.report("PK501", "connections", name, f"option {key} holds a secret.", fix, loc=("options", key))
    for read in subject.modules:
        module = read.module
        texts: list[tuple[tuple[str | int, ...], str, str]] = [(("query",), module.query, module.source)]
        texts += [(("watermarks", i), mark.resolver_sql, mark.connection) for i, mark in enumerate(module.watermarks)]
        texts += [(("hooks", i), hook.sql, hook.connection or module.dest) for i, hook in enumerate(module.hooks)]
        texts += [(("checks", i, "sql"), item.sql, module.dest) for i, item in enumerate(module.checks) if item.sql]
        for loc, sql, where in texts:
            position = secret_in_sql(sql, subject.syntax(where))
            if position is not None:
                message = "the SQL seems to hold a password; it would stand in every log of the run."
                hint = "Let the database keep it (a foreign server, a wallet, a user mapping)."
                read.report("PK502", message, hint, loc=loc, position=position)
