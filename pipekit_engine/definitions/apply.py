"""Makes the store match files: all of them are checked first, and all changes are made in one transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipekit_engine.definitions.apply_plan import ApplyPlan, make_plan
from pipekit_engine.definitions.load import load_definitions
from pipekit_engine.definitions.yaml_nodes import Problem
from pipekit_engine.errors import DefinitionsError
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind
from pipekit_engine.store import Store


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did, or with `dry_run` would do."""

    plan: ApplyPlan
    warnings: tuple[Problem, ...]
    dry_run: bool


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
    return Applied(plan, tuple(loaded.warnings), dry_run=True)


def plan_text(store: Store, text: str) -> Applied:
    """As `plan_apply`, for definitions as one text. Problems name lines of it."""
    with TemporaryDirectory(prefix="pipekit-") as folder:
        path = Path(folder, "definitions.yaml")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            return plan_apply(store, path)
        except DefinitionsError as error:
            raise DefinitionsError([item.replace(f"{path}:", "line ") for item in error.problems]) from None


def apply_definitions(store: Store, path: Path, *, prune: bool = False, dry_run: bool = False) -> Applied:
    """Make the store match the files under `path`.

    With `prune`, what the files lack is deleted (drivers excepted). With `dry_run`, nothing changes. Raises as
    `plan_apply`; on any error nothing has changed.
    """
    planned = plan_apply(store, path, prune=prune)
    if not dry_run:
        store.definitions.save(planned.plan.changes, by="apply")
    return Applied(planned.plan, planned.warnings, dry_run)
