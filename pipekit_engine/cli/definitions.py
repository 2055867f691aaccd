"""`apply`, `pull`, `export`, `schema`, and what is defined: `modules`, `groups`, `schedules`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import DryRunFlag, JsonFlag, note, settings

if TYPE_CHECKING:
    from pipekit_engine.definitions.apply_plan import ApplyPlan
    from pipekit_engine.models import DefinitionKind, Definitions
    from pipekit_engine.store import Store

_LINE_STYLES = {"+": "green", "~": "yellow", "-": "red"}


FilesArgument = Annotated[
    Path | None,
    typer.Argument(help="A folder of YAML files, or one file; the configuration's when not given, else ./definitions."),
]


def _files(context: typer.Context, path: Path | None) -> Path:
    return path or settings(context).config().definitions_path or Path("definitions")


def apply(
    context: typer.Context,
    path: FilesArgument = None,
    dry_run: DryRunFlag = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the files lack (never drivers).")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace also what was changed in the browser since it was applied.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make the store match YAML definitions: check all files, show the plan, change all or nothing.

    Running state (locks, last fired times, past runs) is never touched. A record that was changed in the browser meanwhile
    is not replaced unless asked for.
    """
    from pipekit_engine.cli.output import errors, print_json
    from pipekit_engine.definitions.apply import changed_on_pages, plan_apply, save_applied
    from pipekit_engine.errors import DefinitionsError

    path = _files(context, path)
    with settings(context).store() as store:
        applied = plan_apply(store, path, prune=prune)
        warnings = [str(warning) for warning in applied.warnings]
        if applied.plan.kept and path.is_dir():  # a single file is a part of the definitions
            kept = ", ".join(applied.plan.kept)
            warnings.append(f"modules in no file, and kept: {kept}. --prune deletes what the files lack")
        edited = [] if overwrite else changed_on_pages(store, applied.plan)
        warnings += edited if dry_run else []
        for warning in warnings:
            errors().print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
        if not as_json:
            _print_plan(applied.plan)
        if edited and not dry_run:
            raise DefinitionsError(edited)
        if not dry_run:
            save_applied(store, applied)
    if as_json:
        changes = [
            {
                "action": change.action,
                "kind": change.kind,
                "name": change.name,
                "fields": {item.field: {"old": item.old, "new": item.new} for item in change.fields},
                "note": change.note,
            }
            for change in applied.plan.changes
        ]
        print_json({"applied": not dry_run, "changes": changes, "warnings": warnings})
    elif dry_run:
        note("Dry run: nothing was changed.")


def pull(
    context: typer.Context,
    path: FilesArgument = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
) -> None:
    """Write what the store says into the YAML files: the inverse of `apply`. Comments and layout stay.

    Shows the plan first. A record that the store lacks is taken out of its file. What cannot be written safely is shown as a
    diff with the reason, and the exit status is 1.
    """
    from pipekit_engine.cli.output import errors, print_text
    from pipekit_engine.definitions.pull import carry_out, plan_pull

    path = _files(context, path)
    with settings(context).store() as store:
        planned = plan_pull(store, path)
        _print_plan(planned.plan)
        if not planned.plan.changes:
            return
        asked = sys.stdin.isatty() and sys.stdout.isatty()
        if not (yes or (asked and typer.confirm(f"Write into {path}?", err=True))):
            note("Nothing was written." if asked else "Nothing was written; --yes writes.")
            return
        edits = carry_out(store, path, planned)
    for edit in edits:
        if not edit.written:
            errors().print(f"{edit.file}: not written: {edit.why}", style="red", markup=False, soft_wrap=True)
            print_text(edit.diff)
    note(f"Wrote {len({edit.file for edit in edits if edit.written})} files.")
    if not all(edit.written for edit in edits):
        raise typer.Exit(1)


def _print_plan(plan: ApplyPlan) -> None:
    from pipekit_engine.cli.output import results

    for line in plan.lines():
        style = _LINE_STYLES.get(line[0]) or _LINE_STYLES.get(line.strip()[:1] or " ")
        results().print(line, style=style, markup=False, soft_wrap=True)


def export(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A folder, a .yaml file, or - for stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier export.")] = False,
) -> None:
    """Write the store back as YAML files that apply as no change."""
    from pipekit_engine.cli.output import print_text, results
    from pipekit_engine.databases.dialects import builtin_drivers
    from pipekit_engine.definitions.export import to_yaml, without_builtin_drivers, write_export

    with settings(context).store() as store:
        definitions = without_builtin_drivers(_readable(store), builtin_drivers())
    if str(path) == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            # As in files, whatever the locale: it is to be read back.
            sys.stdout.reconfigure(encoding="utf-8")
        print_text(to_yaml(definitions))
        return
    files = write_export(definitions, path, force=force)
    results().print(f"Wrote {len(files)} file{'s' if len(files) != 1 else ''} to {path}.", soft_wrap=True)


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here instead of to stdout.")] = None,
) -> None:
    """Print the JSON Schema of the YAML definitions, for editors that complete and check."""
    import json

    from pipekit_engine.cli.output import print_json
    from pipekit_engine.definitions.schema import definitions_schema
    from pipekit_engine.errors import ConfigurationError

    if output is None:
        print_json(definitions_schema())
        return
    try:
        output.write_text(json.dumps(definitions_schema(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot be written: {error.strerror}.") from None


NameArgument = Annotated[str | None, typer.Argument(help="Show this one as YAML instead of the list.")]


def modules(context: typer.Context, name: NameArgument = None, as_json: JsonFlag = False) -> None:
    """List the modules with their last run, or show one."""
    from pipekit_engine.cli.output import count, moment, print_json, print_table, status
    from pipekit_engine.records.checks import summary
    from pipekit_engine.running.partitions import partition_summary

    with settings(context).store() as store:
        if name is not None:
            _show(store, "modules", name, as_json)
            return
        definitions = _readable(store)
        last = {
            module: next(iter(store.runs.list(module=module, limit=1, dry_runs=False)), None)
            for module in definitions.modules
        }
        divided = [module for module in definitions.modules.values() if module.partition is not None]
        filled = {module.name: partition_summary(module, store.partitions.of(module.name)) for module in divided}
        results = store.checks.last()
    checked = {
        module.name: summary(results[module.name]) if module.name in results else "not asked yet"
        for module in definitions.modules.values()
        if module.checks
    }
    groups: dict[str, list[str]] = {}
    for group in definitions.groups.values():
        for member in group.members:
            groups.setdefault(member, []).append(group.name)
    if as_json:
        found = []
        for module in definitions.modules.values():
            run = last[module.name]
            record = run.as_json() if run else None
            entry = {**module.model_dump(mode="json"), "groups": groups.get(module.name, []), "last_run": record}
            found.append(entry | ({"partitions_filled": filled[module.name]} if module.name in filled else {}))
        print_json(found)
        return
    rows = []
    for module in definitions.modules.values():
        run = last[module.name]
        rows.append(
            (
                module.name if module.enabled else f"{module.name} (disabled)",
                module.source,
                f"{module.dest}: {module.dest_table}",
                module.strategy,
                ", ".join(groups.get(module.name, [])),
                status(run.status) if run else "",
                moment(run.started_at) if run else "never",
                count(run.rows_read) if run else "",
                *([filled.get(module.name, "")] if filled else []),
                *([checked.get(module.name, "")] if checked else []),
            )
        )
    headings: tuple[str, ...] = ("MODULE", "SOURCE", "DESTINATION", "STRATEGY", "GROUPS", "LAST RUN", "AT", "ROWS")
    more = [heading for heading, shown in (("PARTITIONS", filled), ("CHECKS", checked)) if shown]
    print_table((*headings, *more), rows, right=["ROWS"])


def groups(context: typer.Context, name: NameArgument = None, as_json: JsonFlag = False) -> None:
    """List the groups with their last run, or show one."""
    from pipekit_engine.cli.output import moment, print_json, print_table, seconds, status

    with settings(context).store() as store:
        if name is not None:
            _show(store, "groups", name, as_json)
            return
        definitions = _readable(store)
        last = {
            group: next(iter(store.group_runs.list(group=group, limit=1, dry_runs=False)), None)
            for group in definitions.groups
        }
    if as_json:
        found = []
        for group in definitions.groups.values():
            run = last[group.name]
            found.append({**group.model_dump(mode="json"), "last_run": run.as_json() if run else None})
        print_json(found)
        return
    rows = []
    for group in definitions.groups.values():
        run = last[group.name]
        layers = " > ".join(f"({', '.join(layer)})" if len(layer) > 1 else layer[0] for layer in group.layers)
        rows.append(
            (
                group.name,
                group.on_failure,
                status(run.status) if run else "",
                moment(run.started_at) if run else "never",
                seconds(run.duration_s) if run else "",
                layers,
            )
        )
    # Members last: a terminal cuts a long list of them, never how the group's last run went.
    print_table(("GROUP", "ON FAILURE", "LAST RUN", "AT", "TOOK", "MEMBERS"), rows, right=["TOOK"])


def schedules(context: typer.Context, name: NameArgument = None, as_json: JsonFlag = False) -> None:
    """List schedules with their next time, each in its own time zone, and triggers; or show one schedule."""
    from pipekit_engine.cli.output import moment, print_json, print_table
    from pipekit_engine.operations.schedules import next_time

    with settings(context).store() as store:
        if name is not None:
            _show(store, "schedules", name, as_json)
            return
        definitions = _readable(store)
        fired = {schedule: store.ticks.last_fired_at(schedule) for schedule in definitions.schedules}
    next_times = {schedule.name: next_time(schedule) for schedule in definitions.schedules.values()}
    if as_json:
        found: list[dict[str, Any]] = [
            {
                **schedule.model_dump(mode="json"),
                "last_fired_at": fired[schedule.name],
                "next_at": next_times[schedule.name],
            }
            for schedule in definitions.schedules.values()
        ]
        triggers = [trigger.model_dump(mode="json") for trigger in definitions.triggers.values()]
        print_json({"schedules": found, "triggers": triggers})
        return
    print_table(
        ("SCHEDULE", "GROUP", "CRON", "TIME ZONE", "LAST FIRED", "NEXT"),
        (
            (
                s.name,
                s.group,
                s.cron,
                s.timezone,
                moment(fired[s.name], s.timezone) or "never",
                moment(next_times[s.name], s.timezone) or "disabled",
            )
            for s in definitions.schedules.values()
        ),
    )
    if definitions.triggers:
        print()
        print_table(
            ("TRIGGER", "GROUP", "KIND", "WATCHES", "EVERY", "STATE"),
            (
                (
                    t.name,
                    t.group,
                    t.kind,
                    f"{t.connection}: {t.sql}" if t.kind == "watermark" else f"success of {t.after}",
                    f"{t.every}s",
                    "enabled" if t.enabled else "disabled",
                )
                for t in definitions.triggers.values()
            ),
        )


def _readable(store: Store) -> Definitions:
    """All valid definitions; a broken row is told and hides nothing."""
    definitions, broken = store.definitions.load_checked()
    for item in broken:
        note(f"warning: {item.kind} {item.name} in the store is broken: {item.problem}")
    return definitions


def _show(store: Store, kind: DefinitionKind, name: str, as_json: bool) -> None:
    from pipekit_engine.cli.output import print_json, print_text
    from pipekit_engine.definitions.export import to_yaml
    from pipekit_engine.models import Definitions

    readers = {
        "modules": store.definitions.module,
        "groups": store.definitions.group,
        "schedules": store.definitions.schedule,
    }
    record = readers[kind](name)
    if as_json:
        print_json(record.model_dump(mode="json", by_alias=True))
    else:
        only: dict[str, Any] = {kind: {name: record}}
        print_text(to_yaml(Definitions.model_construct(None, **only), [kind]))
