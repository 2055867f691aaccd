"""Of all servers that share a state store, one at a time leads: its daemon fires schedules and launches runs.

PostgreSQL: an advisory lock of a session that stays open. The session ends with its process; where a whole machine vanishes, the
server notices within some ten seconds, by TCP keepalives. (A pooler between must pool by session.) A leader that
cannot reach the store for as long has lost its lead, and cannot claim a tick either: ticks are claimed in the same store.

SQLite: a lock on a file beside the state, which ends with its process.
"""

from __future__ import annotations

import fcntl
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pipekit_engine.errors import StoreError
from pipekit_engine.store.snapshot import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ADVISORY_LOCK = 7_046_029_255
#: Seconds after which either side of a silent connection counts as gone: idle + interval x count.
_IDLE_S, _INTERVAL_S, _COUNT = 5, 2, 3
_SILENCE_MS = (_IDLE_S + _INTERVAL_S * _COUNT) * 1000


class Leadership:
    """One process's claim to lead. `take` and `keeps` never wait for another leader; not for use by several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = sqlite_file(url)
        self._lock: IO[str] | None = None
        self._session: Connection | None = None

    def take(self) -> bool:
        """Lead if nobody else does. Raises StoreError when the store cannot be asked."""
        if self._file is not None:
            return self._take_file()
        try:
            session = self._session or self._connect()
            self._session = session
            taken = session.execute(text(f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})")).scalar()
        except SQLAlchemyError as error:
            self.give_up()
            raise StoreError(f"The state store does not say who leads: {str(error).splitlines()[0]}") from None
        return bool(taken)

    def keeps(self) -> bool:
        """Whether a lead that was taken still stands. When not, it has been given up."""
        if self._file is not None:
            return self._lock is not None
        try:
            if self._session is not None and self._session.execute(text("SELECT 1")).scalar() == 1:
                return True
        except SQLAlchemyError:
            pass
        self.give_up()
        return False

    def give_up(self) -> None:
        """Let another one lead. Safe to call twice."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._session is not None:
            session, self._session = self._session, None
            with suppress(SQLAlchemyError):
                session.invalidate()
            session.close()

    def _take_file(self) -> bool:
        assert self._file is not None
        path = self._file.with_name(f"{self._file.name}.leader")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a")
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}.") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _connect(self) -> Connection:
        url = make_url(self._url)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "connect_timeout": 5,
                "keepalives_idle": _IDLE_S,
                "keepalives_interval": _INTERVAL_S,
                "keepalives_count": _COUNT,
                "tcp_user_timeout": _SILENCE_MS,
                "application_name": "pipekit leader",
            },
        )
        session = engine.connect()
        for setting, value in (
            ("tcp_keepalives_idle", _IDLE_S),
            ("tcp_keepalives_interval", _INTERVAL_S),
            ("tcp_keepalives_count", _COUNT),
            ("tcp_user_timeout", _SILENCE_MS),
            ("idle_session_timeout", 0),
        ):
            # A server that does not know a setting is as good as its own defaults.
            with suppress(SQLAlchemyError):
                session.execute(text(f"SET {setting} = {value}"))
        return session
