"""No password is ever in what Dagster keeps: events, logs, storage, the run's configuration."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from pipekit_engine.models import Connection
from tests.dagster.project import Project
from tests.dagster.test_jobs import run_job, step_logs
from tests.servers.postgresql import PostgreSQLServer

WRONG = "s3ntinel/of a wrong-login%"


@pytest.mark.postgresql
def test_no_password_in_anything_that_dagster_keeps(project: Project, postgresql: PostgreSQLServer) -> None:
    (project.folder / "secrets.env").write_text(f"PG_PASSWORD='{postgresql.password}'\nWRONG_PASSWORD='{WRONG}'\n")
    with postgresql.fresh_database() as database:
        url = postgresql.jdbc_url(database)
        given = {"driver": "postgresql", "jdbc_url": url, "username": postgresql.user}
        project.save(
            Connection(name="pg", password="$PG_PASSWORD", **given),
            Connection(name="pg_wrong", password="$WRONG_PASSWORD", **given),
        )
        project.add_module("good", dest="pg", dest_table="public.good")
        project.add_module("bad", dest="pg", dest_table="public.bad", query="SELECT no_such_column FROM numbers")
        project.add_module("refused", dest="pg_wrong", dest_table="public.refused")
        project.add_module("leaky", dest="pg", dest_table="public.leaky", hooks=[{"sql": "SELECT nothing_here"}])
        project.add_group("nightly", ("good", "bad", "refused", "leaky"))
        with project.instance() as instance:
            result = run_job(project, instance, "nightly")
            logs = step_logs(result, instance)
        assert not result.success
        assert postgresql.sql(database, "SELECT count(*) FROM good") == [(3,)]
    assert "authentication failed" in logs["refused"]
    assert set(logs) == {"good", "bad", "refused", "leaky"}
    kept = [path for path in project.folder.rglob("*") if path.is_file() and path.name != "secrets.env"]
    assert any("compute_logs" in path.parts for path in kept)
    assert any(path.suffix == ".db" and "dagster" in path.parts for path in kept)
    for path in kept:
        content = path.read_bytes()
        for secret in (postgresql.password, WRONG, quote(WRONG, safe="")):
            assert secret.encode() not in content, path
