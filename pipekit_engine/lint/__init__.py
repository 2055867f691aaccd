"""Everything that can be told about definitions without moving data.

    for finding in lint_files(Path("definitions"), config):
        print(finding)

The rules are data in `findings`; they read queries with `pipekit_engine.sql`, which understands SQL just far
enough and stays silent where it does not: a rule that is not sure reports nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.definitions.check import check
from pipekit_engine.definitions.load import read_definitions
from pipekit_engine.errors import StoreError
from pipekit_engine.lint import partitions, queries, relations, watermarks
from pipekit_engine.lint.findings import LEVELS, RULES, Finding, Level, Rule
from pipekit_engine.lint.ignore import Ignores
from pipekit_engine.lint.subject import Subject
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind, Definitions, record_label

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipekit_engine.config import Config
    from pipekit_engine.definitions.load import Loaded

__all__ = ["LEVELS", "RULES", "Finding", "Level", "Rule", "lint_definitions", "lint_files", "lint_store"]


def lint_files(path: Path, config: Config, *, live: bool = False) -> list[Finding]:
    """Lint YAML files, which may refer to what the state store has if there is one.

    Raises ConfigurationError when there are no files. With `live`, each module is planned on its databases as well.
    """
    loaded = read_definitions(path)
    stored = _stored(config)
    subject = _subject(loaded.definitions, stored or Definitions())
    subject.parsed_records = loaded.parsed_records
    _problems(subject, loaded, stored)
    if not loaded.unreadable:
        _apply_rules(subject, whole=not loaded.problems)
        if live:
            _live(subject, config)
    ignores = Ignores.read(loaded.files)
    lines = {
        (parsed.file, record_label(kind, name)): parsed.line for (kind, name), parsed in loaded.parsed_records.items()
    }
    kept = [f for f in subject.findings if not ignores.covers(f, lines.get((f.file or "", f.record)))]
    return sorted([*kept, *ignores.unneeded()], key=lambda finding: finding.order)


def lint_store(config: Config, *, live: bool = False) -> list[Finding]:
    """Lint what the state store holds. Raises StoreError when there is no store."""
    from pipekit_engine.store import Store

    with Store.open(config.database_url) as store:
        definitions, broken = store.definitions.load_checked()
    subject = _subject(definitions, definitions)
    for item in broken:
        fix = "Mend its definition and `pipekit apply` it."
        subject.findings.append(Finding("PK001", "error", item.label, "", item.problem, fix))
    _apply_rules(subject, whole=not broken)
    if live:
        _live(subject, config)
    return sorted(subject.findings, key=lambda finding: finding.order)


def lint_definitions(definitions: Definitions) -> list[Finding]:
    """Lint definitions that are complete, wherever they are."""
    subject = _subject(definitions, definitions)
    _apply_rules(subject, whole=True)
    return sorted(subject.findings, key=lambda finding: finding.order)


def _stored(config: Config) -> Definitions | None:
    from pipekit_engine.store import Store

    try:
        with Store.open(config.database_url) as store:
            return store.definitions.load_checked()[0]
    except StoreError:
        return None


def _subject(definitions: Definitions, stored: Definitions) -> Subject:
    builtin = {driver.name: driver for driver in builtin_drivers()}
    return Subject(
        definitions,
        known_connections={**stored.connections, **definitions.connections},
        known_drivers={**builtin, **stored.drivers, **definitions.drivers},
    )


def _problems(subject: Subject, loaded: Loaded, stored: Definitions | None) -> None:
    """What `pipekit apply` would refuse."""
    there = stored or Definitions()
    names: dict[DefinitionKind, Collection[str]] = {kind: set(there.of_kind(kind)) for kind in DEFINITION_KINDS}
    names["drivers"] = set(subject.known_drivers)
    problems = [(problem, "PK001", "") for problem in loaded.problems]
    told: set[str] = set()
    if not loaded.unreadable:
        for problem in check(loaded.parsed_records, names, prune=False, texts=False):
            elsewhere = stored is None and problem.missing in ("connections", "drivers")
            if elsewhere and problem.what in told:
                continue  # once is enough for what is no mistake
            told.add(problem.what)
            fix = "It may be in the state store, which is not here." if elsewhere else ""
            problems.append((problem, "PK002" if elsewhere else "PK001", fix))
    for problem, code, fix in problems:
        record = record_label(*problem.record) if problem.record else ""
        # Of the top of a file, the path's first part is what is wrong with it: it is no kind of definition.
        rest = problem.field_path if problem.record else problem.where.partition(".")[2]
        message = f"{rest}: {problem.what}" if rest else problem.what
        level = RULES[code].level
        subject.findings.append(
            Finding(code, level, record, rest, f"{message}.", fix, problem.file, problem.line or None)
        )


def _apply_rules(subject: Subject, *, whole: bool) -> None:
    for read in subject.modules:
        queries.check_query(read)
        queries.check_checks(read)
        queries.check_columns(read)
        queries.check_destination(read)
        watermarks.check_strategy(read)
        partitions.check_partition(read)
    relations.check_writers(subject)
    relations.check_own_source(subject)
    relations.check_groups(subject, whole=whole)
    partitions.check_partitioned_groups(subject)
    relations.check_secrets(subject)


def _live(subject: Subject, config: Config) -> None:
    from pipekit_engine.lint.live import check_live

    check_live(subject, config)
