"""What belongs to one module below `/api`: its partitions and their backfill, its checks, the tables at its ends."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.operations.lineage import LinkedTable, module_lineage
from pipekit_engine.records.checks import CheckResult
from pipekit_web.api.answers import BackfillOptions, Lineage, PartitionShown, Started, TableShown
from pipekit_web.api.asking import Name, OpenEngine, OpenStore, Operator
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.api.running import STARTS, asked_by, start
from pipekit_web.launching import Wanted
from pipekit_web.views.modules import check_now
from pipekit_web.views.partitions import partition_rows, partitions_to_fill

router = APIRouter(prefix="/api/modules/{name}", route_class=CheckedBody)
_LOOKS: dict[str, Any] = {"responses": problems(404)}
_ALL = BackfillOptions()


@router.get(
    "/partitions", summary="A module's partitions, the oldest first: which are filled, failed, missing", **_LOOKS
)
def partitions(name: Name, store: OpenStore) -> list[PartitionShown]:
    return [
        PartitionShown(
            partition=row.key,
            state=row.standing,
            run_id=row.filled.filled.run_id if row.filled.filled else None,
            rows=row.filled.filled.rows if row.filled.filled else None,
            filled_at=row.filled.filled.finished_at if row.filled.filled else None,
            tried_by=row.last.id if row.last else None,
        )
        for row in partition_rows(store, store.definitions.module(name))
    ]


@router.post("/backfill", summary="Fill partitions of a module, one run each; answers at once", **STARTS)
def backfill(
    user: Operator,
    name: Name,
    store: OpenStore,
    request: Request,
    response: Response,
    options: BackfillOptions = _ALL,
) -> Started:
    module = store.definitions.module(name)
    try:
        keys = partitions_to_fill(
            store, module, options.since or "", options.until or "", options.partitions, again=options.again
        )
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    wanted = Wanted("modules", name, asked_by(user), partitions=keys, keep_going=options.keep_going)
    return start(wanted, store, request, response)


@router.get("/checks", summary="What a module's checks found last", **_LOOKS)
def checks(name: Name, store: OpenStore) -> list[CheckResult]:
    store.definitions.module(name)
    return store.checks.last(name).get(name, [])


@router.post(
    "/check",
    summary="Ask a module's checks of its destination as it is; moves nothing",
    responses=problems(400, 404, 409, 413, 415, 422),
)
def check(user: Operator, name: Name, engine: OpenEngine) -> list[CheckResult]:
    engine.store.definitions.module(name)
    return check_now(engine, name)


@router.get("/lineage", summary="The tables that a module reads and writes, and the modules at these", **_LOOKS)
def lineage(name: Name, store: OpenStore) -> Lineage:
    found = module_lineage(store.definitions.module(name), store.definitions.load_checked()[0])
    reads = [_shown(table) for table in found.reads]
    return Lineage(reads=reads, writes=_shown(found.writes), beside=list(found.beside))


def _shown(table: LinkedTable) -> TableShown:
    return TableShown(connection=table.connection, table=list(table.parts), modules=list(table.modules))
