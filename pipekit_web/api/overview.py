"""The first page's figures, the search and cron in words below `/api`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from pipekit_engine.models import RUN_LOGS
from pipekit_web.api.asking import OpenStore
from pipekit_web.api.machine_answers import BrokenDefinition, CronTimes, Found, LateSchedule, NextTick, Standing
from pipekit_web.api.problems import problems
from pipekit_web.views import live, overview

router = APIRouter(prefix="/api")
_WITHOUT_LOGS: dict[str, Any] = {"__all__": set(RUN_LOGS)}


@router.get(
    "/overview",
    summary="What runs, what failed within a day, what is late, what comes next",
    response_model_exclude=dict.fromkeys(("running", "failed"), _WITHOUT_LOGS),
)
def standing(store: OpenStore) -> Standing:
    found = overview.overview(store)
    return Standing(
        counts=dict(found.counts),
        running=found.running,
        running_groups=found.running_groups,
        failed=found.failed,
        late=[LateSchedule(schedule=item.schedule.name, since=item.since) for item in found.late],
        next=[NextTick(schedule=item.schedule.name, group=item.schedule.group, at=item.at) for item in found.ticks],
        broken=[BrokenDefinition(kind=item.kind, name=item.name, problem=item.problem) for item in found.broken],
    )


@router.get("/search", summary="Definitions whose name or text holds all words", responses=problems(400))
def search(store: OpenStore, q: Annotated[str, Query(max_length=200)]) -> list[Found]:
    return [Found(**vars(hit)) for hit in overview.search(store, q)]


@router.get("/cron", summary="A cron expression in words, and its next five times", responses=problems(400))
def cron(
    cron: Annotated[str, Query(max_length=200)], timezone: Annotated[str, Query(max_length=100)] = "UTC"
) -> CronTimes:
    told = live.cron_told(cron, timezone)
    return CronTimes(words=told.words, next=told.times, problem=told.problem or None)
