"""Makes the store match files: all of them are checked first, and all changes are made in one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipekit_engine.definitions.apply_plan import ApplyPlan, make_plan
from pipekit_engine.definitions.load import load_definitions
from pipekit_engine.definitions.yaml_nodes import Problem, RecordKey
from pipekit_engine.errors import DefinitionsError
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind, record_label
from pipekit_engine.store import Store
from pipekit_engine.store.audit import BY_USER


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did, or with `dry_run` would do."""

    plan: ApplyPlan
    warnings: tuple[Problem, ...]
    dry_run: bool
    #: The records that the files define.
    defined: frozenset[RecordKey] = frozenset()


def plan_apply(store: Store, path: Path, *, prune: bool = False) -> Applied:
    """Read and check the files under `path` and compare them with the store. Changes nothing.

    Raises DefinitionsError with every problem, ConfigurationError when there are no files.
    """
    stored, broken_records = store.definitions.load_checked()
    broken: dict[DefinitionKind, Collection[str]] = {
        kind: [record.name for record in broken_records if record.kind == kind] for kind in DEFINITION_KINDS
    }
    names: dict[DefinitionKind, Collection[str]] = {
        kind: {*stored.of_kind(kind), *broken[kind]} for kind in DEFINITION_KINDS
    }
    loaded = load_definitions(path, names, prune=prune)
    plan = make_plan(loaded.definitions, stored, prune=prune, broken=broken)
    return Applied(plan, tuple(loaded.warnings), dry_run=True, defined=frozenset(loaded.parsed_records))


def changed_on_pages(store: Store, plan: ApplyPlan) -> list[str]:
    """The records whose newest change was made in the browser and that a plan would change or delete: who, when, what to do."""
    found = []
    for change in plan.changes:
        newest = next(iter(store.audit.list(change.kind, change.name, limit=1)), None)
        if newest is None or change.action == "create" or not newest.apart_from_files:
            continue
        who = newest.by.removeprefix(BY_USER)
        found.append(
            f"{record_label(change.kind, change.name)}: {who} changed it in the browser at {newest.at:%Y-%m-%d %H:%M:%S} UTC, "
            "and the files say otherwise. Take the change over into the files (`pipekit pull` writes the store's version), "
            "or replace it: `pipekit apply --overwrite`"
        )
    return found


def plan_text(store: Store, text: str) -> Applied:
    """As `plan_apply`, for definitions as one text. Problems name lines of it."""
    with TemporaryDirectory(prefix="pipekit-") as folder:
        path = Path(folder, "definitions.yaml")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            return plan_apply(store, path)
        except DefinitionsError as error:
            raise DefinitionsError([item.replace(f"{path}:", "line ") for item in error.problems]) from None


def apply_definitions(
    store: Store, path: Path, *, prune: bool = False, dry_run: bool = False, overwrite: bool = False
) -> Applied:
    """Make the store match the files under `path`.

    With `prune`, what the files lack is deleted (drivers excepted). With `dry_run`, nothing changes. Raises as
    `plan_apply`, and DefinitionsError for what was changed in the browser meanwhile unless `overwrite`; on any error nothing
    has changed.
    """
    planned = plan_apply(store, path, prune=prune)
    if not dry_run:
        edited = [] if overwrite else changed_on_pages(store, planned.plan)
        if edited:
            raise DefinitionsError(edited)
        save_applied(store, planned)
    return Applied(planned.plan, planned.warnings, dry_run, planned.defined)


def save_applied(store: Store, planned: Applied) -> None:
    """Make the changes of a plan; the files and the store say the same from then on."""
    store.definitions.save(planned.plan.changes, by="apply")
    store.audit.mark_in_files(planned.defined)
