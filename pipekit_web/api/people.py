"""Users, roles and tokens below `/api`, for an admin. A token is told once, when it is made."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request

from pipekit_engine.errors import ConfigurationError, StoreError
from pipekit_web.api.asking import Admin, Name, OpenStore, config_of
from pipekit_web.api.machine_answers import NewToken, TokenMade, TokenShown, UserFields, UserShown
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.server.auth import Users, users_file
from pipekit_web.server.people import change_user, take_user_away
from pipekit_web.server.tokens import check_new

router = APIRouter(prefix="/api", route_class=CheckedBody)
UserName = Annotated[str, Path(min_length=1, max_length=100)]
_CHANGES: dict[str, Any] = {"responses": problems(400, 404, 409, 413, 415, 422)}


@router.get("/users", summary="Who may log in, and what each may do")
def users(user: Admin, request: Request) -> list[UserShown]:
    known = Users(users_file(config_of(request))).all().values()
    return [UserShown(name=item.name, role=item.role) for item in sorted(known, key=lambda item: item.name)]


@router.put("/users/{name}", summary="Add a user, or change their role or password", **_CHANGES)
def put_user(user: Admin, name: UserName, body: UserFields, request: Request) -> UserShown:
    try:
        change_user(config_of(request), user, name, body.password or "", body.role)
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    return UserShown(name=name, role=body.role)


@router.delete("/users/{name}", status_code=204, summary="Take a user away: their sessions end", **_CHANGES)
def delete_user(user: Admin, name: UserName, request: Request) -> None:
    if name not in Users(users_file(config_of(request))).all():
        raise HTTPException(404, f"There is no user {name!r}.")
    try:
        take_user_away(config_of(request), user, name)
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None


@router.get("/tokens", summary="Tokens of programs; never a token itself")
def tokens(user: Admin, store: OpenStore) -> list[TokenShown]:
    return [TokenShown(**vars(item), expired=item.expired) for item in store.tokens.list()]


@router.post("/tokens", status_code=201, summary="Make a token, which is told this once", **_CHANGES)
def create_token(user: Admin, body: NewToken, store: OpenStore) -> TokenMade:
    try:
        check_new(body.name, body.role)
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    try:
        text = store.tokens.create(body.name, body.role, timedelta(days=body.days) if body.days else None)
    except StoreError:
        raise
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None
    return TokenMade(name=body.name, role=body.role, token=text)


@router.delete("/tokens/{name}", status_code=204, summary="Revoke a token: it is refused at once", **_CHANGES)
def revoke_token(user: Admin, name: Name, store: OpenStore) -> None:
    store.tokens.revoke(name)
