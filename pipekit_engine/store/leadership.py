"""Of all servers that share a state store, one at a time leads: its daemon fires schedules and launches runs.

The lead is a lease. Its holder renews it every second by `keeps`, and its daemon asks for it before it works (`holds`):

1. PostgreSQL: an advisory lock of a session that stays open; each `keeps` is a statement of that session, whose time the server's
   own clock tells. The session ends with its process; where a whole machine vanishes, the server notices within some ten
   seconds, by TCP keepalives. (A pooler between must pool by session.)
2. SQLite: a lock on a file beside the state, which ends with its process; each `keeps` touches the file.
3. A holder that is silent for `SILENT_S` (it hangs, its machine is frozen) is replaced: whoever wants the lead ends its session,
   or puts another file in the place of its own. It finds that out before it renews.
4. `token` names the lease, anew each time. The daemon is given it, and does nothing once the lease is another one's or has been
   silent for `FENCE_S`, before another may take it: the pattern of fencing tokens. Ticks are claimed in the same store.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pipekit_engine.errors import StoreError
from pipekit_engine.store.snapshot import sqlite_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ADVISORY_LOCK = 7_046_029_255
#: Seconds of silence after which a holder is replaced, its daemon stops, and it does not count as leading any more.
SILENT_S, FENCE_S, QUIET_S = 15.0, 10.0, 8.0
#: Seconds after which either side of a silent connection counts as gone: idle + interval x count.
_IDLE_S, _INTERVAL_S, _COUNT = 5, 2, 3
_SILENCE_MS = (_IDLE_S + _INTERVAL_S * _COUNT) * 1000
_NAME = "pipekit leader"
#: Who holds the lock: a name of the lease, the seconds since it was renewed, the session, and whether it may be replaced.
_HOLDER = text(
    "SELECT a.pid || '@' || extract(epoch FROM a.backend_start) AS token, "
    "extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS silence, a.pid, a.application_name = :name AS replaceable "
    "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :high AND l.objid = :low AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
).bindparams(name=_NAME, high=_ADVISORY_LOCK >> 32, low=_ADVISORY_LOCK & 0xFFFFFFFF)


class Leadership:
    """One process's claim to lead. `take` and `keeps` never wait for another leader; not for use by several threads.

    A claim that is not `renewed` (a restore, which keeps servers out) is never replaced by another's; it ends with its process.
    """

    def __init__(self, url: str, *, renewed: bool = True) -> None:
        self._url = url
        self._file = sqlite_file(url)
        self._renewed = renewed
        self._lock: IO[str] | None = None
        self._session: Connection | None = None
        #: The lease file's time as it was last seen, and when by a clock that nobody sets.
        self._seen = (0.0, 0.0)
        #: Of the last `take` that found another holder: seconds since it renewed its lease.
        self.silence_s = 0.0
        #: Names the lease, while it is held.
        self.token = ""

    def take(self) -> bool:
        """Lead if nobody else does, or whoever does is silent for too long. Raises StoreError when the store cannot be asked."""
        if self._file is not None:
            return self._take_file(_lease_file(self._file))
        try:
            session = self._session or self._connect()
            self._session = session
            taken = bool(session.execute(text(f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})")).scalar())
            holder = session.execute(_HOLDER).first()
            if taken:
                self.token = holder.token if holder is not None else ""
                self.silence_s = 0.0
            elif holder is not None:
                self.silence_s = float(holder.silence or 0)
                if self.silence_s > SILENT_S and holder.replaceable:
                    # The next try finds the lock free, once the server has ended it.
                    session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": holder.pid})
        except SQLAlchemyError as error:
            self.give_up()
            raise StoreError(f"The state store does not say who leads: {str(error).splitlines()[0]}") from None
        return taken

    def keeps(self) -> bool:
        """Renew the lease; whether it still stands. When not, it has been given up."""
        if self._file is not None:
            if self._lock is not None and _is_in_place(self._lock, _lease_file(self._file)):
                os.utime(self._lock.fileno())
                return True
        else:
            with suppress(SQLAlchemyError):
                if self._session is not None and self._session.execute(text("SELECT 1")).scalar() == 1:
                    return True
        self.give_up()
        return False

    def give_up(self) -> None:
        """Let another one lead. Safe to call twice."""
        self.token = ""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._session is not None:
            session, self._session = self._session, None
            with suppress(SQLAlchemyError):
                session.invalidate()
            session.close()

    def holds(self, token: str) -> bool | None:
        """Whether the lease of this name stands and was renewed a moment ago, whoever asks; None when the store does not say."""
        if self._file is not None:
            path = _lease_file(self._file)
            return _content(path) == token and self._file_silence(path) < FENCE_S
        try:
            session = self._session = self._session or self._connect()
            holder = session.execute(_HOLDER).first()
        except SQLAlchemyError:
            self.give_up()
            return None
        return holder is not None and holder.token == token and float(holder.silence or 0) < FENCE_S

    def _take_file(self, path: Path) -> bool:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One at a time replaces a silent holder's file: two could each put one of their own there.
            with path.with_name(f"{path.name}.taking").open("a") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                if path.exists() and self._is_locked(path):
                    self.silence_s = self._file_silence(path)
                    if self.silence_s <= SILENT_S or not _content(path).startswith(_NAME):
                        return False
                    path.unlink()
                lock = path.open("a+")
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.truncate(0)
                lock.write(f"{_NAME if self._renewed else 'pipekit'} {uuid.uuid4()}")
                lock.flush()
        except OSError as error:
            raise StoreError(f"{path} cannot be opened or locked: {error.strerror}.") from None
        self._lock, self.token, self.silence_s = lock, _content(path), 0.0
        return True

    def _file_silence(self, path: Path) -> float:
        """Seconds for which the lease has not been renewed, as far as this object has seen: a clock that jumps ends no lease."""
        with suppress(OSError):
            renewed = path.stat().st_mtime
            if renewed != self._seen[0]:
                self._seen = (renewed, time.monotonic())
            return min(max(0.0, time.time() - renewed), time.monotonic() - self._seen[1])
        return 0.0

    @staticmethod
    def _is_locked(path: Path) -> bool:
        with path.open("a") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

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
                "application_name": _NAME if self._renewed else "pipekit",
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


def _lease_file(state: Path) -> Path:
    return state.with_name(f"{state.name}.leader")


def _is_in_place(lock: IO[str], path: Path) -> bool:
    """Whether the file that is locked is the one that others find."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    return False


def _content(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
