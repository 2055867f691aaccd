"""Users and roles below `/api`, for an admin; and tokens, each one's own. A token is told once, when it is made."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request

from pipekit_engine.errors import ConfigurationError, StoreError
from pipekit_web.api.asking import Admin, Name, OpenStore, Viewer, config_of
from pipekit_web.api.machine_answers import NewToken, TokenMade, TokenShown, UserFields, UserShown
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.server.auth import User, Users, users_file
from pipekit_web.server.people import change_user, take_user_away
from pipekit_web.server.tokens import make_token, may_manage, revoke_token, tokens_of

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


def _token_maker(user: Viewer) -> User:
    if not may_manage(user):
        raise HTTPException(403, f"{user.name} is a token; only an admin's makes and revokes others.")
    return user


TokenMaker = Annotated[User, Depends(_token_maker)]


@router.get("/tokens", summary="Tokens of one's own, all for an admin; never a token itself")
def tokens(user: TokenMaker, store: OpenStore) -> list[TokenShown]:
    return [TokenShown(**vars(item), expired=item.expired) for item in tokens_of(store, user)]


@router.post("/tokens", status_code=201, summary="Make a token, which is told this once", **_CHANGES)
def create_token(user: TokenMaker, body: NewToken, store: OpenStore) -> TokenMade:
    if not user.may(body.role):
        raise HTTPException(422, f"A token may do at most what its maker may, who is in the role {user.role}.")
    try:
        text = make_token(store, user, body.name, body.role, body.days)
    except StoreError:
        raise
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None
    return TokenMade(name=body.name, role=body.role, token=text)


@router.delete("/tokens/{name}", status_code=204, summary="Revoke a token: it is refused at once", **_CHANGES)
def delete_token(user: TokenMaker, name: Name, store: OpenStore) -> None:
    revoke_token(store, user, name)
