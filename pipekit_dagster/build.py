"""`build_pipekit_definitions`: everything that the store defines, as Dagster definitions."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from pipekit_dagster.assets import Table, automation_condition, build_assets, build_automation_sensor, read_tables
from pipekit_dagster.executor import pipekit_thread_executor
from pipekit_dagster.jobs import GRAPH_PREFIX, MODULES_MAX_PARALLEL, build_group_job, build_layered_job
from pipekit_dagster.naming import dagster_name, distinct_names
from pipekit_dagster.ops import build_broken_op, build_op
from pipekit_dagster.resource import PipekitResource
from pipekit_dagster.retention import build_retention_sensor
from pipekit_dagster.schedules import build_schedule
from pipekit_dagster.sensors import build_reconcile_sensor, build_trigger_sensor
from pipekit_dagster.tags import SELECTION_TAG
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.common.visible import plain_markdown
from pipekit_engine.config import Config, load_config
from pipekit_engine.models import DefinitionKind, singular
from pipekit_engine.store import BrokenRecord, Store

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions

MODULES_JOB = "modules"
PROBLEMS_JOB = "broken_definitions"
RECONCILE_SENSOR = "pipekit_reconcile"
AUTOMATION_SENSOR = "pipekit_automation"
RETENTION_SENSOR = "pipekit_retention"

_log = logging.getLogger("pipekit_dagster")


@dataclass(frozen=True)
class Names:
    """Dagster's name of each record, by pipekit's name."""

    ops: dict[str, str]
    jobs: dict[str, str]
    schedules: dict[str, str]
    sensors: dict[str, str]

    @classmethod
    def of(cls, definitions: Definitions, broken: list[BrokenRecord], translator: DagsterPipekitTranslator) -> Names:
        """Names for all records, the broken ones included: a record keeps its name while it is broken."""

        def names(kind: DefinitionKind) -> set[str]:
            return set(definitions.of_kind(kind)) | {item.name for item in broken if item.kind == kind}

        own_sensors = (RECONCILE_SENSOR, AUTOMATION_SENSOR, RETENTION_SENSOR)
        members = {member for group in definitions.groups.values() for member in group.members}
        jobs = distinct_names(names("groups"), translator.job_name, taken=(MODULES_JOB, PROBLEMS_JOB))
        schedules = distinct_names(names("schedules"), translator.schedule_name, taken=own_sensors)
        return cls(
            ops=distinct_names(
                names("modules") | members,
                translator.op_name,
                taken=[f"{GRAPH_PREFIX}{job}" for job in (*jobs.values(), MODULES_JOB, PROBLEMS_JOB)],
            ),
            jobs=jobs,
            schedules=schedules,
            # Dagster keeps schedules and sensors in one space of names.
            sensors=distinct_names(
                names("triggers"), translator.sensor_name, taken=(*own_sensors, *schedules.values())
            ),
        )


@dataclass
class _Parts:
    ops: dict[str, dg.OpDefinition] = field(default_factory=dict)
    jobs: dict[str, dg.JobDefinition] = field(default_factory=dict)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)
    sensors: list[dg.SensorDefinition] = field(default_factory=list)
    #: Names of all ops and graphs, which Dagster keeps in one space.
    node_names: set[str] = field(default_factory=set)


def build_pipekit_definitions(
    config: Config | None = None, translator: DagsterPipekitTranslator | None = None
) -> dg.Definitions:
    """Read the state store and give it to Dagster.

    `config` is looked for as the `pipekit` command does when it is None. A record that cannot be read hides nothing else: it is
    shown under its own name, and in the job `broken_definitions`, with what is wrong. Raises ConfigurationError when there
    is no usable configuration or store at all, which Dagster shows as an error of the code location.

        from pipekit_dagster import build_pipekit_definitions

        defs = build_pipekit_definitions()
    """
    config = config or load_config()
    with Store.open(config.database_url) as store:
        definitions, broken = store.definitions.load_checked()
    # Materializations run on threads, as the jobs of groups do.
    executor = pipekit_thread_executor.configured({"max_concurrent": MODULES_MAX_PARALLEL})
    defs = assemble(config, definitions, broken, translator or DagsterPipekitTranslator(), executor)
    age = config.retention.age
    if age is None:
        return defs
    # Not in a project of somebody's own: its runs are not ours to delete.
    return dg.Definitions.merge(defs, dg.Definitions(sensors=[build_retention_sensor(config, age, RETENTION_SENSOR)]))


def assemble(
    config: Config,
    definitions: Definitions,
    broken: list[BrokenRecord],
    translator: DagsterPipekitTranslator,
    executor: dg.ExecutorDefinition | None = None,
) -> dg.Definitions:
    """Dagster definitions for records that were read already.

    `executor` is the one of materializations. Without one it is that of the Dagster project into which these are merged, which
    takes but one.
    """
    definitions, refused = without_refused_crons(definitions)
    broken = [*broken, *refused]
    for item in broken:
        _log.error("pipekit: %s %s is broken: %s", item.kind, item.name, item.problem)
    names = Names.of(definitions, broken, translator)
    parts = _Parts()
    tables = read_tables(definitions, translator)
    _add_ops(parts, definitions, broken, names, translator, tables)
    _add_jobs(parts, definitions, broken, names, translator)
    _add_automation(parts, config, definitions, names, translator, tables)
    return dg.Definitions(
        jobs=list(parts.jobs.values()),
        schedules=parts.schedules,
        sensors=parts.sensors,
        assets=build_assets(tables, definitions, translator, parts.node_names),
        resources={
            "pipekit": PipekitResource.bound_to(
                config,
                {op: module for module, op in names.ops.items()},
                {key: [module.name for module in table.enabled] for key, table in tables.items()},
            )()
        },
        executor=executor,
    )


def without_refused_crons(definitions: Definitions) -> tuple[Definitions, list[BrokenRecord]]:
    """Take out the schedules and modules whose cron text Dagster would refuse: one would keep all from loading.

    pipekit checks cron text when it is saved, Dagster with a library of its own.
    """
    schedules, modules = {}, {}
    refused: list[BrokenRecord] = []
    for name, schedule in definitions.schedules.items():
        try:
            dg.ScheduleDefinition(
                name="probe", job_name="probe", cron_schedule=schedule.cron, execution_timezone=schedule.timezone
            )
            schedules[name] = schedule
        except dg.DagsterError as error:
            refused.append(BrokenRecord("schedules", name, f"cron: Dagster does not take {schedule.cron!r}: {error}"))
    for name, module in definitions.modules.items():
        try:
            automation_condition(module, ())
            modules[name] = module
        except Exception as error:  # Dagster's checks of arguments raise an error that it does not give out
            problem = f"automation: Dagster does not take {module.automation!r}: {error}"
            refused.append(BrokenRecord("modules", name, problem))
    return definitions.model_copy(update={"schedules": schedules, "modules": modules}), refused


def _add_ops(
    parts: _Parts,
    definitions: Definitions,
    broken: list[BrokenRecord],
    names: Names,
    translator: DagsterPipekitTranslator,
    tables: dict[dg.AssetKey, Table],
) -> None:
    problems = {item.name: item.problem for item in broken if item.kind == "modules"}
    for module, name in names.ops.items():
        found = definitions.modules.get(module)
        if found is None:
            problem = problems.get(module, "there is no module of this name")
            parts.ops[module] = build_broken_op(name, f"module {module}", problem, member=True)
            continue
        asset_key = translator.dest_key(found, definitions)
        parts.ops[module] = build_op(
            found,
            name=name,
            asset_key=asset_key,
            check_names=tables[asset_key].check_names,
            column_deps=partial(translator.column_deps, found, definitions),
            tags=dict(translator.op_tags(found, definitions)),
            pool=translator.pool(found, definitions),
            more_pools=translator.more_pools(found, definitions),
        )


def _add_jobs(
    parts: _Parts,
    definitions: Definitions,
    broken: list[BrokenRecord],
    names: Names,
    translator: DagsterPipekitTranslator,
) -> None:
    for group in definitions.groups.values():
        parts.jobs[group.name] = build_group_job(
            group,
            name=names.jobs[group.name],
            ops=parts.ops,
            skipped=[
                member
                for member in group.members
                if member in definitions.modules and not definitions.modules[member].enabled
            ],
            tags=translator.job_tags(group, definitions),
        )
    if parts.ops:
        parts.jobs[""] = build_layered_job(
            MODULES_JOB,
            [[parts.ops[module] for module in sorted(parts.ops)]],
            description="Every module, to be picked by an op selection in the Launchpad. Without one nothing runs.",
            max_concurrent=MODULES_MAX_PARALLEL,
            continue_on_failure=True,
            tags={SELECTION_TAG: "needed"},
        )
    taken = set(names.ops.values())
    broken_ops = []
    for item in broken:
        wanted = f"broken_{singular(item.kind)}_{item.name}"
        name = distinct_names([wanted], dagster_name, taken)[wanted]
        taken.add(name)
        op = build_broken_op(name, item.label, item.problem)
        broken_ops.append(op)
        if item.kind == "groups":
            # A broken group keeps its job, red: schedules and people that look for it find the reason.
            parts.jobs[item.name] = _broken_job(
                names.jobs[item.name], [op], plain_markdown(f"Group {item.name} is broken: {item.problem}")
            )
    parts.node_names = taken | {f"{GRAPH_PREFIX}{job.name}" for job in parts.jobs.values()}
    if broken_ops:
        parts.node_names.add(f"{GRAPH_PREFIX}{PROBLEMS_JOB}")
        listing = "\n".join(plain_markdown(f"- {singular(item.kind)} {item.name}: {item.problem}") for item in broken)
        parts.jobs["\0"] = _broken_job(PROBLEMS_JOB, broken_ops, f"**These definitions cannot be read.**\n\n{listing}")


def _broken_job(name: str, ops: list[dg.OpDefinition], description: str) -> dg.JobDefinition:
    return build_layered_job(
        name,
        [ops],
        description=description,
        max_concurrent=1,
        continue_on_failure=True,
        tags={"pipekit/broken": "true"},
    )


def _add_automation(
    parts: _Parts,
    config: Config,
    definitions: Definitions,
    names: Names,
    translator: DagsterPipekitTranslator,
    tables: dict[dg.AssetKey, Table],
) -> None:
    for schedule in definitions.schedules.values():
        if schedule.group in parts.jobs:
            parts.schedules.append(
                build_schedule(
                    config,
                    schedule,
                    name=names.schedules[schedule.name],
                    job=parts.jobs[schedule.group],
                    description=translator.schedule_description(schedule),
                )
            )
    for trigger in definitions.triggers.values():
        if trigger.group in parts.jobs:
            parts.sensors.append(
                build_trigger_sensor(
                    config,
                    trigger,
                    name=names.sensors[trigger.name],
                    job=parts.jobs[trigger.group],
                    description=translator.trigger_description(trigger),
                )
            )
    automation = build_automation_sensor(tables, AUTOMATION_SENSOR)
    if automation is not None:
        parts.sensors.append(automation)
    parts.sensors.append(build_reconcile_sensor(config, translator, RECONCILE_SENSOR))
