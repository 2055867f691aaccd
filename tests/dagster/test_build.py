"""Definitions in the store -> jobs, ops, schedules, sensors and assets in Dagster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipekit_dagster import DagsterPipekitTranslator
from pipekit_dagster.build import assemble
from pipekit_dagster.naming import dagster_name, distinct_names
from pipekit_engine.config import Config
from pipekit_engine.models import Connection, Definitions, Group, Module, Schedule, Trigger
from pipekit_engine.operations.lineage import source_tables, table_parts
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.store import BrokenRecord


def module(name: str, **fields: Any) -> Module:
    given: dict[str, Any] = {
        "source": "ops",
        "dest": "dw",
        "query": f"SELECT * FROM {name}",
        "dest_table": f"analytics.{name}",
        "strategy": "full",
    }
    return Module(name=name, **{**given, **fields})


def definitions(*modules: Module, groups: list[Group] | None = None, **more: Any) -> Definitions:
    return Definitions(
        connections={
            "ops": Connection(name="ops", driver="sqlite", jdbc_url="jdbc:sqlite:/nowhere/ops.db", max_parallel=2),
            "dw": Connection(name="dw", driver="postgresql", jdbc_url="jdbc:postgresql://127.0.0.1/dw"),
        },
        modules={item.name: item for item in modules},
        groups={item.name: item for item in groups or []},
        **more,
    )


def build(
    found: Definitions, broken: list[BrokenRecord] | None = None, translator: DagsterPipekitTranslator | None = None
) -> dg.RepositoryDefinition:
    made = assemble(Config(), found, broken or [], translator or DagsterPipekitTranslator())
    dg.Definitions.validate_loadable(made)
    repository = made.get_repository_def()
    assert isinstance(repository, dg.RepositoryDefinition)
    return repository


def upstream(job: dg.JobDefinition) -> dict[str, set[str]]:
    structure = job.graph.dependency_structure
    return {
        node.name: {
            output.node_name
            for outputs in structure.input_to_upstream_outputs_for_node(node.name).values()
            for output in outputs
        }
        for node in job.graph.nodes
    }


def test_layers_become_barriers() -> None:
    group = Group(name="nightly", layers=(("a",), ("b", "c"), ("d",)), max_parallel=2)
    repository = build(definitions(*(module(name) for name in "abcd"), groups=[group]))
    assert upstream(repository.get_job("nightly")) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    assert set(upstream(repository.get_job("modules"))) == {"a", "b", "c", "d"}
    assert repository.get_job("nightly").tags["pipekit/group"] == "nightly"


def test_an_op_is_one_object_in_all_jobs() -> None:
    groups = [Group(name="one", layers=(("a",),)), Group(name="two", layers=(("b",), ("a",)))]
    repository = build(definitions(module("a"), module("b"), groups=groups))
    ops = [repository.get_job(name).graph.node_named("a").definition for name in ("one", "two", "modules")]
    assert ops[0] is ops[1] is ops[2]


def test_disabled_members_are_left_out_and_said_to_be() -> None:
    group = Group(name="nightly", layers=(("a",), ("off",), ("b",)))
    repository = build(definitions(module("a"), module("b"), module("off", enabled=False), groups=[group]))
    job = repository.get_job("nightly")
    assert upstream(job) == {"a": set(), "b": {"a"}}
    assert "off" in (job.description or "")


def test_a_group_of_disabled_members_still_loads() -> None:
    group = Group(name="nightly", layers=(("off",),))
    repository = build(definitions(module("off", enabled=False), groups=[group]))
    assert not repository.get_job("nightly").graph.nodes


def test_names_that_dagster_refuses() -> None:
    names = ["class", "a-b", "a.b", "a_b", "2024", "nightly-2am"]
    repository = build(definitions(*(module(name) for name in names)))
    made = set(upstream(repository.get_job("modules")))
    assert {"class_", "a_b", "2024", "nightly_2am"} < made
    assert len(made) == len(names)


def test_a_name_depends_only_on_the_names_beside_it() -> None:
    assert distinct_names(["a-b"], dagster_name) == {"a-b": "a_b"}
    both = distinct_names(["a-b", "a_b"], dagster_name)
    assert both["a_b"] == "a_b"
    assert both["a-b"].startswith("a_b_")


def test_a_group_may_be_called_like_a_module_a_schedule_and_a_trigger() -> None:
    found = definitions(
        module("x"),
        module("modules"),
        groups=[Group(name="x", layers=(("x",),)), Group(name="modules", layers=(("modules",),))],
        schedules={"x": Schedule(name="x", group="x", cron="0 2 * * *", timezone="Europe/Paris")},
        triggers={"x": Trigger(name="x", group="x", kind="group", after="modules")},
    )
    repository = build(found)
    assert repository.has_job("x")
    assert repository.get_schedule_def("x").execution_timezone == "Europe/Paris"
    assert len(repository.sensor_defs) == 2
    assert len([job for job in repository.get_all_jobs() if not job.name.startswith("__")]) == 3


_NAMES = st.lists(
    st.one_of(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True),
        st.sampled_from(
            ["modules", "broken_definitions", "pipekit_reconcile", "job__x", "x", "X", "input", "None", "a-b"]
        ),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(modules=_NAMES, groups=_NAMES, schedules=_NAMES, triggers=_NAMES, broken=_NAMES)
def test_any_names_load(
    modules: list[str], groups: list[str], schedules: list[str], triggers: list[str], broken: list[str]
) -> None:
    found = definitions(
        *(module(name) for name in modules),
        groups=[Group(name=name, layers=(tuple(modules),)) for name in groups],
        schedules={name: Schedule(name=name, group=groups[0], cron="@daily") for name in schedules},
        triggers={
            name: Trigger(name=name, group=groups[-1], kind="watermark", connection="ops", sql="SELECT 1")
            for name in triggers
        },
    )
    kinds = ["modules", "groups", "schedules", "triggers", "connections"]
    problems = [BrokenRecord(kinds[number % 5], name, "is odd") for number, name in enumerate(broken)]
    problems = [item for item in problems if item.name not in getattr(found, item.kind)]
    repository = build(found, problems)
    jobs = {job.name for job in repository.get_all_jobs()}
    assert len(repository.schedule_defs) == len(schedules)
    assert len(repository.sensor_defs) == len(triggers) + 1
    assert len(jobs) >= len(groups) + 1


def test_schedules_start_as_the_row_says() -> None:
    found = definitions(
        module("x"),
        groups=[Group(name="g", layers=(("x",),))],
        schedules={
            "on": Schedule(name="on", group="g", cron="0 2 * * *"),
            "off": Schedule(name="off", group="g", cron="@daily", enabled=False),
        },
    )
    repository = build(found)
    assert repository.get_schedule_def("on").default_status is dg.DefaultScheduleStatus.RUNNING
    assert repository.get_schedule_def("off").default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_broken_row_shows_under_its_name_and_hides_nothing(tmp_path: Path) -> None:
    group = Group(name="nightly", layers=(("good",), ("bad",)))
    broken = [
        BrokenRecord("modules", "bad", "strategy: must be one of full, incremental"),
        BrokenRecord("groups", "torn", "layers: is empty"),
        BrokenRecord("schedules", "late", "cron: never fires"),
    ]
    repository = build(definitions(module("good"), groups=[group]), broken)
    assert set(upstream(repository.get_job("nightly"))) == {"good", "bad"}
    assert "layers: is empty" in (repository.get_job("torn").description or "")
    assert set(upstream(repository.get_job("broken_definitions"))) == {
        "broken_module_bad",
        "broken_group_torn",
        "broken_schedule_late",
    }
    result = repository.get_job("torn").execute_in_process(raise_on_error=False)
    assert not result.success
    assert "layers: is empty" in str(result.failure_data_for_node("broken_group_torn").user_failure_data.description)  # type: ignore[union-attr]


def test_lineage() -> None:
    found = definitions(
        module("orders", query="SELECT o.* FROM sales.orders o JOIN customers c ON c.id = o.customer"),
        module("report", source="dw", query="SELECT * FROM analytics.orders", dest_table='"Mixed Case".report'),
    )
    made = assemble(Config(), found, [], DagsterPipekitTranslator())
    specs = {spec.key: spec for spec in made.resolve_all_asset_specs()}
    orders = specs[dg.AssetKey(["dw", "analytics", "orders"])]
    assert {dep.asset_key for dep in orders.deps} == {
        dg.AssetKey(["ops", "sales", "orders"]),
        dg.AssetKey(["ops", "customers"]),
    }
    assert orders.kinds == {"postgresql"}
    report = specs[dg.AssetKey(["dw", "Mixed Case", "report"])]
    assert {dep.asset_key for dep in report.deps} == {orders.key}


def test_a_schedule_that_dagster_refuses_hides_nothing() -> None:
    found = definitions(
        module("x"),
        groups=[Group(name="g", layers=(("x",),))],
        schedules={
            "odd": Schedule.model_construct(name="odd", group="g", cron="0 0 1W * *", timezone="UTC", enabled=True),
            "fine": Schedule(name="fine", group="g", cron="0 2 * * *"),
        },
    )
    repository = build(found)
    assert [schedule.name for schedule in repository.schedule_defs] == ["fine"]
    assert "1W" in (repository.get_job("broken_definitions").description or "")


def test_modules_that_feed_each_other() -> None:
    found = definitions(
        module("a", source="dw", query="SELECT * FROM analytics.b"),
        module("b", source="dw", query="SELECT * FROM analytics.c"),
        module("c", source="dw", query="SELECT * FROM analytics.a JOIN analytics.c ON true JOIN other ON true"),
    )
    made = assemble(Config(), found, [], DagsterPipekitTranslator())
    graph = made.resolve_asset_graph()
    assert len(graph.toposorted_asset_keys) == 4
    edges = {
        (spec.key.path[-1], dep.asset_key.path[-1]) for spec in made.resolve_all_asset_specs() for dep in spec.deps
    }
    assert edges == {("a", "b"), ("b", "c"), ("c", "other")}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM t -- FROM u", [("t",)]),
        ("SELECT 'FROM x' FROM t, u v, (SELECT * FROM w) z", [("t",), ("u",), ("w",)]),
        (
            "WITH a AS (SELECT * FROM b), c (n) AS (SELECT 1) SELECT * FROM a JOIN c ON true LEFT JOIN d USING (n)",
            [("b",), ("d",)],
        ),
        ("SELECT extract(year FROM d), trim(both FROM e) FROM t", [("t",)]),
        ('SELECT * FROM "S p".[o d] JOIN `m y`.t ON 1 = 1', [("S p", "o d"), ("m y", "t")]),
        ("SELECT * FROM generate_series(1, 3) g, t", [("t",)]),
        ("SELECT a FROM t WHERE x IN (SELECT y FROM u) UNION ALL SELECT b FROM v ORDER BY 1", [("t",), ("u",), ("v",)]),
        ("SELECT * FROM LIB.FILE FETCH FIRST 5 ROWS ONLY", [("LIB", "FILE")]),
        ("SELECT * FROM flights WHERE time_hour >= '{since}'", [("flights",)]),
    ],
)
def test_tables_of_a_query(sql: str, tables: list[tuple[str, ...]]) -> None:
    assert source_tables(sql, UNKNOWN) == tables


def test_split_name() -> None:
    assert table_parts('sales."Order ""Lines"""', UNKNOWN) == ("sales", 'Order "Lines"')


def test_the_translator_is_the_one_place_to_override() -> None:
    class Mine(DagsterPipekitTranslator):
        def op_name(self, module: str) -> str:
            return f"load_{super().op_name(module)}"

        def op_tags(self, module: Module, definitions: Definitions) -> dict[str, str]:
            return {**super().op_tags(module, definitions), "team": "warehouse"}

    repository = build(definitions(module("a")), translator=Mine())
    node = repository.get_job("modules").graph.node_named("load_a")
    assert node.definition.tags["team"] == "warehouse"
    assert node.definition.tags["pipekit/strategy"] == "full"


def test_a_connection_with_a_limit_is_a_pool() -> None:
    repository = build(definitions(module("a"), module("b", source="dw")))
    job = repository.get_job("modules")
    assert {node.name: node.definition.pool for node in job.graph.nodes} == {"a": "pipekit_ops", "b": None}  # type: ignore[attr-defined]
