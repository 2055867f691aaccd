"""Rules on a module's query and its columns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.planning.split import no_places
from pipekit_engine.sql.one_table import read_one_table
from pipekit_engine.sql.text import as_subquery, is_ambiguous, placeholders, split_statements
from pipekit_engine.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipekit_engine.lint.subject import ReadModule
    from pipekit_engine.sql.tokens import Token

_CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "DROP", "ALTER", "CREATE", "REPLACE", "GRANT")


def check_query(read: ReadModule) -> None:
    """The query as a text."""
    _placeholders(read)
    if not read.readable:
        return
    statements = split_statements(read.module.query, read.syntax)
    if not statements:
        read.report("PK109", "the query is empty.", "Write a SELECT.")
        return
    if len(statements) > 1:
        position = read.module.query.find(statements[1])
        message = f"the query holds {len(statements)} statements; a source is read by one."
        read.report(
            "PK109", message, "Keep the SELECT; put the others into the source or into hooks.", position=position
        )
        return
    found = tokens(read.module.query, read.syntax)
    if _changes_data(found):
        read.report(
            "PK110", "the query changes data.", "A source query reads; write a SELECT.", position=found[0].position
        )
        return
    if found[-1].text == ";" and as_subquery(read.module.query, read.syntax) != read.module.query.strip():
        fix = "Leave it out: pipekit puts the query into other statements, without it."
        read.report("PK111", "the query ends in a semicolon.", fix, position=found[-1].position)
    _order_by(read)


def _changes_data(statement: Sequence[Token]) -> bool:
    first = statement[0]
    return first.is_word(*_CHANGES) or (
        first.is_word("WITH")
        and any(t.depth == 0 and t.is_word("INSERT", "UPDATE", "DELETE", "MERGE") for t in statement)
    )


def check_checks(read: ReadModule) -> None:
    """The SQL of the module's checks: one statement, which reads."""
    syntax = read.subject.syntax(read.module.dest)
    for i, item in enumerate(read.module.checks):
        if item.sql is None or is_ambiguous(item.sql, syntax):
            continue
        statements = split_statements(item.sql, syntax)
        if len(statements) != 1 or _changes_data(tokens(statements[0], syntax)):
            read.report(
                "PK114",
                f"check {item.name} is no single SELECT.",
                "A check reads: select the rows that must not be.",
                loc=("checks", i, "sql"),
            )


def _placeholders(read: ReadModule) -> None:
    module = read.module
    declared = module.placeholders
    used = placeholders(module.query, read.syntax)
    for token in used:
        if token not in declared:
            near = get_close_matches(token, declared, n=1)
            fix = f"Did you mean {{{near[0]}}}?" if near else "Declare it under `watermarks:`."
            fix += f" The text itself is written {{{{{token}}}}}."
            position = module.query.find(f"{{{token}}}")
            read.report("PK101", f"{{{token}}} is filled by no watermark.", fix, position=position)
    for i, watermark in enumerate(module.watermarks):
        if (name := watermark.name) not in used:
            fix = "Use it, or take it away: its resolver runs for nothing."
            read.report("PK102", f"the query never uses {{{name}}}.", fix, loc=("watermarks", i))
    for i, hook in enumerate(module.hooks):
        for token in placeholders(hook.sql, read.subject.syntax(hook.connection or module.dest)):
            if token in declared:
                message = f"{{{token}}} in a hook is not filled: watermarks fill the source query only."
                read.report("PK210", message, "Ask the destination within the hook.", loc=("hooks", i))


def _order_by(read: ReadModule) -> None:
    level = [token for token in tokens(read.module.query, read.syntax) if token.depth == 0]
    order = next(
        (i for i, token in enumerate(level[:-1]) if token.is_word("ORDER") and level[i + 1].is_word("BY")), None
    )
    distinct_on = any(token.is_word("DISTINCT") and level[i + 1].is_word("ON") for i, token in enumerate(level[:-1]))
    if (
        order is None
        or distinct_on
        or any(t.is_word("LIMIT", "FETCH", "OFFSET", "TOP", "ROWNUM", "ROWS") for t in level)
    ):
        return
    message = "ORDER BY makes the source sort rows whose order the destination does not keep."
    read.report("PK112", message, "Leave it out.", position=level[order].position)


def check_columns(read: ReadModule) -> None:
    """The columns that the query gives, against what the module says of them."""
    select, module = read.select, read.module
    if select is None:
        return
    if select.has_star and module.on_schema_change == "fail" and not module.columns:
        message = "SELECT * with on_schema_change fail: a column that is added to the source fails the run."
        star = next(item for item in select.items if item.star)
        read.report("PK113", message, "Name the columns, or choose add_columns or ignore.", position=star.position)
    for number, item in enumerate(select.items, 1):
        if item.name is None and not item.star and not item.unsure:
            message = f"column {number} of the query has no name of its own: each database makes up another."
            read.report("PK108", message, "Name it with AS.", position=item.position)
    _names_are_distinct(read)
    given, source = read.given, read.source
    reads_places = source is not None and [name.lower() for name in module.split_by] == [source.row_place]
    missing = reads_places and module.parallel > 1 and "rowid" not in map(str.casefold, given or ())
    if source is not None and missing and read_one_table(module.query, read.syntax) is None:
        read.report("PK116", f"split_by: {no_places(source)}", loc=("split_by",))
    if given is None:
        return
    known = [*given, *(column.dest_name for column in module.columns)]
    for name in module.merge_key:
        _must_be_given(read, "PK103", f"merge_key: the query does not give {name!r}.", name, known, "merge_key")
    if module.dedupe_column:
        name = module.dedupe_column
        _must_be_given(read, "PK104", f"dedupe: the query does not give {name!r}.", name, known, "dedupe")
    for name in () if reads_places else module.split_by:
        _must_be_given(read, "PK106", f"split_by: the query does not give {name!r}.", name, given, "split_by")
    if module.parallel > 1 and not module.split_by:
        key = f"the merge key ({', '.join(module.merge_key)})" if module.merge_key else "the destination's primary key"
        message = f"{module.parallel} connections read ranges of {key}."
        read.report(
            "PK115", message, "Name another key by split_by where that has no index at the source.", loc=("parallel",)
        )
    for i, column in enumerate(module.columns):
        name = column.source_name
        message = f"columns: the query does not give {name!r}."
        _must_be_given(read, "PK105", message, name, given, "columns", i)


def _must_be_given(read: ReadModule, code: str, message: str, name: str, known: Iterable[str], *loc: str | int) -> None:
    folded = {item.casefold(): item for item in known}
    if name.casefold() in folded:
        return
    near = get_close_matches(name.casefold(), folded, n=1)
    fix = f"Did you mean {folded[near[0]]!r}?" if near else "Select it, or name another."
    read.report(code, message, fix, loc=loc)


def _names_are_distinct(read: ReadModule) -> None:
    assert read.select is not None
    seen: set[str] = set()
    for item in read.select.items:
        if item.column is None:
            continue
        if item.column in seen:
            message = f"the query gives two columns named {item.column!r}; they are matched by name."
            read.report("PK107", message, "Name them apart with AS.", position=item.position)
        seen.add(item.column)


def check_destination(read: ReadModule) -> None:
    """The names that the destination gets."""
    module, dest = read.module, read.dest
    if dest is None:
        return
    try:
        dest.table_name(module.dest_table)
    except ConfigurationError as error:
        read.report("PK301", f"dest_table: {error}", loc=("dest_table",))
    names: list[tuple[str, str, tuple[str | int, ...]]] = []
    if module.columns:
        names = [(c.source_name, c.dest_name, ("columns", i)) for i, c in enumerate(module.columns)]
    elif read.select is not None:
        source = read.source or dest
        given = dict.fromkeys(item.column for item in read.select.items if item.column is not None)
        names = [(name, dest.column_name_from(source, name), ("query",)) for name in given]
    seen: dict[str, str] = {}
    for source_name, name, loc in names:
        try:
            dest.check_identifier(name)
        except ConfigurationError as error:
            read.report("PK301", str(error), loc=loc)
        first = seen.setdefault(dest.compared_column(name), source_name)
        if first != source_name:
            message = f"the columns {first!r} and {source_name!r} would both become {name!r} in {dest.label}."
            read.report("PK303", message, "Give one of them another dest_name.", loc=loc)
