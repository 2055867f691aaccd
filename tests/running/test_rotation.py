"""A secret that is rotated while runs go on: the run under way ends with what it has, the next one takes the new one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.config import SecretSource
from pipekit_engine.engine import Engine
from pipekit_engine.errors import ConnectError
from pipekit_engine.models import Connection
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

pytestmark = pytest.mark.postgresql
ROLE = "rotated"


class Rotation:
    """PostgreSQL's role `rotated`, whose password also stands in a file; `engine` takes it from there."""

    def __init__(self, bench: Workbench, server: PostgreSQLServer, source: SecretSource, file: Path) -> None:
        self._bench, self._file = bench, file
        url = bench.store.definitions.connection("dst").jdbc_url
        self.admin = server.connect(url.rsplit("/", 1)[1].partition("?")[0])
        self.admin.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER")
        bench.save(Connection(name="there", driver="postgresql", jdbc_url=url, username=ROLE, password="$ROTATED"))
        self.engine = Engine(bench.config.model_copy(update={"secrets_from": [source]}))
        self.rotate("the-first")

    def rotate(self, password: str, *, told: bool = True) -> None:
        """Give the role another password, and tell it where pipekit looks."""
        self.admin.execute(f"ALTER ROLE {ROLE} PASSWORD '{password}'")  # type: ignore[call-overload]
        if told:
            self._file.write_text(f"{password}\n")

    def waiting(self) -> bool:
        """Whether a run stands still before the advisory lock that `admin` holds."""
        asked = f"SELECT 1 FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event = 'advisory'"
        return self.admin.execute(asked).fetchall() != []  # type: ignore[call-overload]

    def run(self) -> int | None:
        return self.engine.run("m", sessions=self._bench.pool).record.rows_inserted

    def close(self) -> None:
        self.engine.close()
        with self._bench.pool.session() as session:
            session.close()
        self.admin.execute(f"DROP OWNED BY {ROLE} CASCADE")
        self.admin.execute(f"DROP ROLE {ROLE}")
        self.admin.close()


@pytest.fixture(params=["folder", "command"])
def rotation(pg_bench: Workbench, postgresql: PostgreSQLServer, request: pytest.FixtureRequest) -> Iterator[Rotation]:
    folder = pg_bench.folder / "run"
    folder.mkdir()
    file = folder / "ROTATED"
    command = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read(), end='')", f"{folder}/{{key}}"]
    source = SecretSource(folder=folder) if request.param == "folder" else SecretSource(command=command)
    made = Rotation(pg_bench, postgresql, source, file)
    yield made
    made.close()


def test_a_run_goes_on_and_the_next_takes_the_new_one(rotation: Rotation, pg_bench: Workbench) -> None:
    pg_bench.execute(
        "CREATE TABLE t (id INTEGER)",
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$",
        "CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait()",
    )
    query = "SELECT 1 AS id UNION ALL SELECT 2"
    pg_bench.module(source="there", dest="there", query=query, strategy="full")
    rotation.admin.execute("SELECT pg_advisory_lock(1)")
    ended: list[int | None] = []
    run = threading.Thread(target=lambda: ended.append(rotation.run()))
    run.start()
    wait_until(rotation.waiting, "the merge")
    rotation.rotate("the-second")
    rotation.admin.execute("SELECT pg_advisory_unlock(1)")
    run.join()
    assert ended == [2], "what was open stays open"
    assert rotation.run() == 2
    rotation.rotate("the-third", told=False)
    with pg_bench.pool.session() as session:
        session.close()
    with pytest.raises(ConnectError, match="password authentication failed") as raised:
        rotation.run()
    assert "the-second" not in str(raised.value)
    rotation.rotate("the-fourth")
    assert rotation.run() == 2
