"""What belongs to the machine below `/api`: secrets, drivers' jars, lint, doctor, locks, a login to a connection."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request

from pipekit_engine.lint import lint_store
from pipekit_engine.models import Connection
from pipekit_engine.operations.doctor import run_checks
from pipekit_engine.operations.secret_use import secret_uses
from pipekit_engine.security.secrets import Secrets
from pipekit_web.api.asking import Editor, Name, OpenEngine, OpenStore, Operator, config_of
from pipekit_web.api.machine_answers import (
    ConnectionTrial,
    DoctorCheck,
    DriverJars,
    LintFinding,
    Lock,
    SecretNamed,
    SecretValue,
    Told,
    Unlocked,
)
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.api.saving import patched, record_of, stored_record
from pipekit_web.views import live, machine

router = APIRouter(prefix="/api", route_class=CheckedBody)
Key = Annotated[str, Path(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$", description="a secret's name, without its $")]
_ACTS: dict[str, Any] = {"responses": problems(400, 404, 409, 413, 415, 422)}
_NO_TRIAL = ConnectionTrial()


@router.get("/secrets", summary="Names of secrets, and which connections refer to each; never a value")
def secrets(store: OpenStore, request: Request) -> list[SecretNamed]:
    connections = store.definitions.load_checked()[0].connections.values()
    return [SecretNamed(**vars(use)) for use in secret_uses(Secrets.of(config_of(request)), connections, ask=False)]


@router.put("/secrets/{key}", status_code=204, summary="Set a secret's value, which is not read again", **_ACTS)
def set_secret(user: Editor, key: Key, body: SecretValue, request: Request) -> None:
    Secrets.load(config_of(request).secrets_file).set(key, body.value)


@router.get("/drivers/{name}/jars", summary="The jars that a driver would use", responses=problems(404))
def jars(name: Name, store: OpenStore, request: Request) -> DriverJars:
    row = machine.driver_row(store.definitions.driver(name), config_of(request))
    return DriverJars(jars=row.jars, missing=row.missing)


@router.post("/drivers/{name}/install", summary="Get the tested jar of a driver, and register it", **_ACTS)
def install_driver(user: Editor, name: Name, store: OpenStore, request: Request) -> Told:
    return Told(**vars(machine.install_jar(store, config_of(request), name, by=user.by)))


@router.post("/connections/{name}/test", summary="Log in to a database, also with fields that are not saved", **_ACTS)
def try_connection(user: Operator, name: Name, engine: OpenEngine, trial: ConnectionTrial = _NO_TRIAL) -> Told:
    if not trial.fields and trial.password is None:
        return Told(**vars(machine.try_connection(engine, name)))
    if not user.may("editor"):
        raise HTTPException(403, f"{user.name} is in the role {user.role}; fields to try take the role editor.")
    present = engine.store.definitions.find("connections", name)
    old = present.model_dump(by_alias=True, mode="json") if present is not None else {}
    record = record_of("connections", name, patched(old, trial.fields))
    assert isinstance(record, Connection)
    stored_record(engine.store, "drivers", record.driver)
    return Told(**vars(live.try_draft(engine, record, trial.password)))


@router.get("/lint", summary="What can be told about the definitions")
def lint(request: Request) -> list[LintFinding]:
    return [LintFinding(**item.as_json()) for item in lint_store(config_of(request))]


@router.post("/doctor", summary="Run the doctor's checks, which log in to every connection", **_ACTS)
def doctor(user: Operator, request: Request) -> list[DoctorCheck]:
    return [DoctorCheck(**vars(check)) for check in run_checks(config_of(request))]


@router.get("/locks", summary="Locks that are held")
def locks(store: OpenStore) -> list[Lock]:
    found = []
    for lease in store.leases.all():
        run = store.runs.running(lease.token)
        owner = lease.owner.label if lease.owner else None
        found.append(
            Lock(
                what=lease.what,
                name=lease.name,
                owner=owner,
                since=lease.since,
                dead=lease.abandoned(),
                run_id=run.id if run else None,
            )
        )
    return found


@router.post("/modules/{name}/unlock", summary="Free a lock that a dead process left", **_ACTS)
def unlock(user: Operator, name: Name, engine: OpenEngine) -> Unlocked:
    return Unlocked(unlocked=engine.unlock(name) is not None)
