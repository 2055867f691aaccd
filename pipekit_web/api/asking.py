"""What the routes of the REST interface ask for: the open store, the user, an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Path, Request

from pipekit_engine.config import Config
from pipekit_engine.engine import Engine
from pipekit_engine.store import Store
from pipekit_web.server.auth import ANYONE, Role, User
from pipekit_web.server.middleware import USER_KEY

if TYPE_CHECKING:
    from pipekit_web.launching import Launcher


def _opened_store(request: Request) -> Iterator[Store]:
    """The state store, opened for one request: they are few."""
    with Store.open(config_of(request).database_url) as store:
        yield store


def _opened_engine(request: Request) -> Iterator[Engine]:
    with Engine(config_of(request)) as engine:
        yield engine


def config_of(request: Request) -> Config:
    """The configuration in force."""
    found: Config = request.app.state.config
    return found


def launcher_of(request: Request) -> Launcher:
    """What starts runs."""
    found: Launcher = request.app.state.launcher
    return found


def _user(role: Role) -> Callable[[Request], User]:
    def find(request: Request) -> User:
        user: User = request.scope.get(USER_KEY, ANYONE)
        if not user.may(role):
            raise HTTPException(403, f"{user.name} is in the role {user.role}; this takes the role {role}.")
        return user

    return find


#: The user, who must be at least of that role. Stands before the store, so that who may not is told before anything is opened.
Viewer = Annotated[User, Depends(_user("viewer"))]
Operator = Annotated[User, Depends(_user("operator"))]
Editor = Annotated[User, Depends(_user("editor"))]
Admin = Annotated[User, Depends(_user("admin"))]
OpenStore = Annotated[Store, Depends(_opened_store)]
OpenEngine = Annotated[Engine, Depends(_opened_engine)]
Name = Annotated[str, Path(min_length=1)]
#: A number that any of the store's databases takes for a key.
Number = Annotated[int, Path(ge=1, lt=2**31)]
