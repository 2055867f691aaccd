"""One truth about schedules and triggers: what was said last holds, whether in Dagster, on a page, by apply or by its command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipekit_dagster.serve.home import LOCATION as LOCATION_NAME
from pipekit_engine.definitions.apply import apply_definitions, plan_apply
from pipekit_engine.definitions.pull import carry_out, plan_pull
from pipekit_engine.engine import Engine
from pipekit_engine.errors import DefinitionsError
from pipekit_engine.models import DefinitionKind, Schedule, Trigger
from pipekit_engine.store import Change
from pipekit_web.server.auth import set_password
from tests.dagster.project import SLOW_QUERY, Project
from tests.dagster.served import LOCATION, Served, serving

ANNA = ("anna", "correct horse")
_STATE = """query S($where: RepositorySelector!) { repositoryOrError(repositorySelector: $where) { ... on Repository {
 schedules { name scheduleState { id selectorId status } } sensors { name sensorState { id selectorId status } } } } }"""


@pytest.mark.slow
def test_one_truth_about_schedules(tmp_path: Path, java: str) -> None:
    project = Project(tmp_path)
    set_password(project.config, *ANNA)
    project.add_module("one")
    project.add_module("slow", query=SLOW_QUERY, dest="slow_dst")
    project.add_group("nightly", ("one",))
    project.add_group("long", ("slow",), ("one",))
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *"))
    project.save(Schedule(name="off-first", group="nightly", cron="0 3 * * *", enabled=False))
    project.save(Trigger(name="changed", group="nightly", kind="group", after="long"))
    with serving(project, ANNA) as served:
        served.wait_shown("at_two", "off_first", "changed")
        check_switches(served, project, tmp_path / "definitions")
        check_cancel(served, project)


def states(served: Served) -> dict[str, dict[str, Any]]:
    """Dagster's switches."""
    data = served.graphql(_STATE, where=LOCATION)["repositoryOrError"]
    return {
        item["name"]: item.get("scheduleState") or item["sensorState"]
        for item in (*data["schedules"], *data["sensors"])
    }


def stop(served: Served, name: str) -> None:
    """Switch a schedule off as Dagster's page does."""
    state = states(served)[name]
    answer = served.graphql(
        "mutation M($id: String!) { stopRunningSchedule(id: $id) { __typename } }",
        id=state["id"],
    )
    assert answer["stopRunningSchedule"]["__typename"] == "ScheduleStateResult", answer


def start(served: Served, name: str) -> None:
    """Switch a schedule on as Dagster's page does."""
    answer = served.graphql(
        "mutation M($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }",
        s={**LOCATION, "scheduleName": name},
    )
    assert answer["startSchedule"]["__typename"] == "ScheduleStateResult", answer


def stands(project: Project, kind: DefinitionKind, name: str) -> tuple[bool, str]:
    """`enabled`, and who said so last."""
    with project.store() as store:
        record = store.definitions.find(kind, name)
        assert isinstance(record, (Schedule, Trigger))
        return record.enabled, store.audit.list(kind, name, limit=1)[0].by


def check_switches(served: Served, project: Project, files: Path) -> None:
    with project.store() as store:
        carry_out(store, files, plan_pull(store, files))
    # In Dagster: it is written down at once, with who.
    stop(served, "at_two")
    assert stands(project, "schedules", "at-two") == (False, "user:anna")
    start(served, "off_first")
    assert stands(project, "schedules", "off-first") == (True, "user:anna")
    listed = {item["name"]: item for item in served.get("/api/schedules")}
    assert (listed["at-two"]["enabled"], listed["at-two"]["next"]) == (False, [])
    assert len(listed["off-first"]["next"]) == 5
    sensor = states(served)["changed"]
    served.graphql("mutation M($id: String!) { stopSensor(id: $id) { __typename } }", id=sensor["id"])
    assert stands(project, "triggers", "changed") == (False, "user:anna")
    # An apply of files that say otherwise is a conflict, as any change of theirs.
    with project.store() as store:
        with pytest.raises(DefinitionsError, match="schedule at-two: anna changed it"):
            apply_definitions(store, files)
        # In the store: Dagster's switch follows.
        apply_definitions(store, files, overwrite=True)
        assert plan_apply(store, files).plan.changes == ()

    def follow() -> bool:
        found = states(served)
        return {name: found[name]["status"] for name in ("at_two", "off_first", "changed")} == {
            "at_two": "RUNNING",
            "off_first": "STOPPED",
            "changed": "RUNNING",
        }

    served.wait_for(follow, "Dagster's switches")
    assert stands(project, "schedules", "at-two") == (True, "apply"), "and it is not taken back"
    # By Dagster's own command, past our web server: the daemon's next look.
    by_command(project, "at_two")
    served.wait_for(lambda: stands(project, "schedules", "at-two") == (False, "dagster"), "the daemon's look")
    # On and off again in the store while Dagster's switch has been touched.
    with project.store() as store:
        on = store.definitions.schedule("at-two").model_copy(update={"enabled": True})
        store.definitions.save([Change("change", "schedules", "at-two", on)], by="user:bea")
    served.wait_for(lambda: states(served)["at_two"]["status"] == "RUNNING", "the switch to follow")
    assert stands(project, "schedules", "at-two") == (True, "user:bea")


def by_command(project: Project, name: str) -> None:
    """Switch a schedule off in Dagster's storage, as `dagster schedule stop` does."""
    from dagster import DagsterInstance

    from pipekit_dagster.dagster_internals.instigation import switches, turn
    from pipekit_dagster.serve.home import Home

    with DagsterInstance.from_config(str(Home.of(project.config).folder)) as instance:
        turn(instance, switches(instance, LOCATION_NAME)["schedules", name], on=False)


def check_cancel(served: Served, project: Project) -> None:
    """A group's run that is cancelled in pipekit ends as a cancelled Dagster run, and nothing of it goes on."""
    run_id = served.run_group("long")
    served.staging(run_id)
    with Engine(project.config) as engine:
        (running,) = [run for run in engine.store.group_runs.unfinished() if run.dagster_run_id == run_id]
        assert running.triggered_by == "user:anna"
        assert engine.cancel_group(running.id)
        assert served.ended(run_id)["status"] == "canceled"
        assert engine.store.group_runs.get(running.id).status == "cancelled"
        assert [(run.module, run.status) for run in engine.store.runs.list(group_run_id=running.id)] == [
            ("slow", "cancelled")
        ]
