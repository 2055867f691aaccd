"""Checks of records that are valid by themselves: references that do not resolve, texts that no database could read,
placeholders that nothing fills, watermarks that nothing uses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches

from pipekit_engine.common.partitions import BOUNDS, UNBOUNDED
from pipekit_engine.databases.addresses import tunnel_address
from pipekit_engine.databases.dialects import GENERIC, builtin_drivers, driver_for, get_dialect, kind_of_url, kinds
from pipekit_engine.databases.names import split_name
from pipekit_engine.databases.tls import tls_problem
from pipekit_engine.definitions.forms import ParsedRecord
from pipekit_engine.definitions.yaml_nodes import Loc, Problem
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import (
    CHECK_PLACEHOLDERS,
    DEFINITION_KINDS,
    Connection,
    DefinitionKind,
    Driver,
    Group,
    Module,
    Record,
    Schedule,
    Trigger,
    singular,
)
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.text import placeholders, spans, unfilled


def references(record: Record) -> Iterator[tuple[Loc, DefinitionKind, str]]:
    """What a record refers to: the field, the kind and the name of the other record."""
    if isinstance(record, Connection):
        yield ("driver",), "drivers", record.driver
    elif isinstance(record, Module):
        yield ("source",), "connections", record.source
        yield ("dest",), "connections", record.dest
        for i, watermark in enumerate(record.watermarks):
            yield ("watermarks", i, "connection"), "connections", watermark.connection
        for i, hook in enumerate(record.hooks):
            if hook.connection is not None:
                yield ("hooks", i, "connection"), "connections", hook.connection
    elif isinstance(record, Group):
        for i, layer in enumerate(record.layers):
            for j, member in enumerate(layer):
                yield ("layers", i, j), "modules", member
    elif isinstance(record, (Schedule, Trigger)):
        yield ("group",), "groups", record.group
        if isinstance(record, Trigger):
            if record.connection is not None:
                yield ("connection",), "connections", record.connection
            if record.after is not None:
                yield ("after",), "groups", record.after


def check(
    parsed_records: Mapping[tuple[DefinitionKind, str], ParsedRecord],
    existing: Mapping[DefinitionKind, Collection[str]],
    *,
    prune: bool,
    texts: bool = True,
) -> list[Problem]:
    """Problems between records, as they would stand after an apply to a store that has the names in `existing`.

    A name that the files define badly is not reported again where it is used. `texts` False leaves out what lint has rules
    of its own for: queries and table names.
    """
    known: dict[DefinitionKind, set[str]] = {
        kind: {name for k, name in parsed_records if k == kind} for kind in DEFINITION_KINDS
    }
    for kind in DEFINITION_KINDS:
        # Drivers belong to the machine and are never pruned.
        if not prune or kind == "drivers":
            known[kind] |= set(existing.get(kind, ()))
    problems: list[Problem] = []
    for parsed in parsed_records.values():
        if parsed.record is None:
            continue
        for loc, kind, name in references(parsed.record):
            if name not in known[kind]:
                place = parsed.place(loc)
                what = f"there is no {singular(kind)} {name!r}"
                near = get_close_matches(name, known[kind], n=1)
                if near:
                    what += f"; did you mean {near[0]!r}?"
                elif prune and name in existing.get(kind, ()):
                    what += " in the files, and --prune would delete the stored one"
                elif kind == "drivers":
                    what += f"; registered: {', '.join(sorted(known[kind])) or 'none'}"
                problems.append(parsed.problem(place, what, missing=kind))
        if isinstance(parsed.record, Connection):
            problems += _other_driver(parsed, parsed.record, parsed_records)
            problems += _ways_in(parsed, parsed.record, parsed_records)
        if texts and isinstance(parsed.record, Module):
            problems += _unreadable_texts(parsed, parsed.record)
            problems += _placeholders(parsed, parsed.record)
        if isinstance(parsed.record, Module):
            problems += _check_texts(parsed, parsed.record)
    return problems


def _driver_of(connection: Connection, among: Mapping[tuple[DefinitionKind, str], ParsedRecord]) -> Driver | None:
    """The driver that the files or pipekit itself define; None for one that only the store may know."""
    given = among.get(("drivers", connection.driver))
    driver = given.record if given else next((d for d in builtin_drivers() if d.name == connection.driver), None)
    return driver if isinstance(driver, Driver) and driver.kind in kinds() else None


def _ways_in(
    parsed: ParsedRecord, connection: Connection, among: Mapping[tuple[DefinitionKind, str], ParsedRecord]
) -> Iterator[Problem]:
    """What of `tls` and `tunnel` the connection's driver cannot do."""
    driver = _driver_of(connection, among)
    if driver is None:
        return
    driver = driver_for(driver, connection.jdbc_url)
    if problem := tls_problem(connection, driver):
        yield parsed.problem(parsed.place(("tls", problem[0]) if problem[0] else ("tls",)), problem[1])
    if connection.tunnel is not None:
        try:
            tunnel_address(connection, driver)
        except ConfigurationError as error:
            yield parsed.problem(parsed.place(("tunnel",)), str(error).partition(": tunnel: ")[2].rstrip("."))


def _other_driver(
    parsed: ParsedRecord, connection: Connection, among: Mapping[tuple[DefinitionKind, str], ParsedRecord]
) -> Iterator[Problem]:
    """A URL that begins as that of another kind of database than the driver's. MariaDB's and MySQL's take each other's."""
    driver = _driver_of(connection, among)
    kind = kind_of_url(connection.jdbc_url)
    if driver is None or (("drivers", driver.name) in among and driver.class_name) or GENERIC in (kind, driver.kind):
        return
    dialects = get_dialect(kind), get_dialect(driver.kind)
    prefixes = [{item.url_prefix for item in dialect.drivers} for dialect in dialects]
    if prefixes[0] & prefixes[1] or {*prefixes[0], *prefixes[1]} == {"jdbc:mariadb:", "jdbc:mysql:"}:
        return
    place = parsed.place(("jdbc_url",))
    yield parsed.problem(
        place, f"is a URL of {dialects[0].label}, and driver {connection.driver!r} is for {dialects[1].label}"
    )


def _unreadable_texts(parsed: ParsedRecord, module: Module) -> Iterator[Problem]:
    """What would fail in every run, whatever the database."""
    if all(span.kind == "comment" or not span.text.strip(" \t\r\n;") for span in spans(module.query, UNKNOWN)):
        place = parsed.place(("query",))
        yield parsed.problem(place, "is empty; write a SELECT")
    try:
        split_name(module.dest_table)
    except ConfigurationError as error:
        place = parsed.place(("dest_table",))
        yield parsed.problem(place, str(error))


def _placeholders(parsed: ParsedRecord, module: Module) -> Iterator[Problem]:
    """Placeholders that nothing fills, watermarks and partitions that nothing uses.

    What may be a comment in the source's database is a warning: a run knows the database, and refuses the rest.
    """
    place = parsed.place(("query",))
    declared = module.placeholders
    used = placeholders(module.query, UNKNOWN)
    certain = placeholders(module.query, replace(UNKNOWN, hash_comments=True))
    for token in used:
        if token not in declared:
            what = unfilled(token, declared)
            line = place.line_of(module.query, module.query.find(f"{{{token}}}"))
            yield parsed.problem(replace(place, line=line), what, warning=token not in certain)
    if module.partition is not None and not set(BOUNDS).intersection(used):
        yield parsed.problem(place, UNBOUNDED)
    for i, watermark in enumerate(module.watermarks):
        if (name := watermark.name) not in used:
            spot = parsed.place(("watermarks", i))
            yield parsed.problem(spot, f"the query never uses {{{name}}}", warning=True)


def _check_texts(parsed: ParsedRecord, module: Module) -> Iterator[Problem]:
    """Placeholders in the SQL of checks that stand for nothing there."""
    for i, item in enumerate(module.checks):
        for token in placeholders(item.sql or "", replace(UNKNOWN, hash_comments=True)):
            if token not in CHECK_PLACEHOLDERS:
                known = " and ".join(f"{{{name}}}" for name in CHECK_PLACEHOLDERS)
                what = f"{{{token}}} stands for nothing in a check, whose placeholders are {known}"
                yield parsed.problem(parsed.place(("checks", i, "sql")), what)
