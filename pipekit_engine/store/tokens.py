"""Tokens: logins of programs. Only a hash is kept; the token itself is shown once, when it is made."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update

from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.store import schema

if TYPE_CHECKING:
    import builtins

    from pipekit_engine.store.database import Database

#: How every token begins, so that one that got somewhere it should not be can be recognised and found.
PREFIX = "pipekit_"
_BYTES = 32
#: Uses closer together than this are noted as one: a program that asks often would have each request write.
_NOTE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """What is known of a token: everything but itself. `owner` is the user who made it for themselves, if one did."""

    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    owner: str | None = None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(timezone.utc)


class TokenStore:
    """Makes, lists, checks and revokes tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, role: str, lifetime: timedelta | None = None, owner: str | None = None) -> str:
        """A new token's text, which cannot be had again. Raises ConfigurationError where there is one of that name."""
        text, now = PREFIX + secrets.token_urlsafe(_BYTES), datetime.now(timezone.utc)
        table = schema.token
        with self._database.write() as connection:
            if connection.execute(select(table.c.id).where(table.c.name == name)).first() is not None:
                raise ConfigurationError(f"There is a token {name!r} already; revoke it, or take another name.")
            connection.execute(
                insert(table).values(
                    name=name,
                    role=role,
                    digest=_digest(text),
                    created_at=now,
                    expires_at=now + lifetime if lifetime is not None else None,
                    owner=owner,
                )
            )
        return text

    def list(self) -> builtins.list[Token]:
        """All tokens, the oldest first, also those that have expired."""
        table = schema.token
        query = select(*(table.c[name] for name in Token.__dataclass_fields__)).order_by(table.c.id)
        with self._database.read() as connection:
            return [Token(*row) for row in connection.execute(query)]

    def check(self, text: str) -> Token | None:
        """The token of that text; None when there is none, or none that is valid any more. Its use is noted."""
        table, digest, now = schema.token, _digest(text), datetime.now(timezone.utc)
        query = select(*(table.c[name] for name in Token.__dataclass_fields__)).where(table.c.digest == digest)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        found = None if row is None else Token(*row)
        if found is None or found.expired:
            return None
        if found.last_used_at is None or now - found.last_used_at > _NOTE_EVERY:
            stale = or_(table.c.last_used_at.is_(None), table.c.last_used_at < now)
            with self._database.write() as connection:
                connection.execute(update(table).where(table.c.digest == digest, stale).values(last_used_at=now))
        return found

    def revoke(self, name: str) -> None:
        """Take a token away: it is refused from now on. Raises NotFoundError."""
        table = schema.token
        with self._database.write() as connection:
            if connection.execute(delete(table).where(table.c.name == name)).rowcount == 0:
                known = connection.execute(select(table.c.name)).scalars().all()
                raise NotFoundError("token", name, known)


def _digest(text: str) -> str:
    """SHA-256: of 256 random bits nothing is guessed, however fast the guesses are made."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
