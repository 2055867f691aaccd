"""What a certification touches: the scratch schema alone, and in it names of its own."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.certify.bench import PREFIX, Bench
from pipekit_engine.certify.certify import certify, checks
from pipekit_engine.certify.outcomes import Check, Finding
from pipekit_engine.certify.report import Anonymizer
from pipekit_engine.config import SecretSource
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.errors import ConfigurationError, RunCancelled
from pipekit_engine.models import Connection
from tests.certify.conftest import Make
from tests.servers.postgresql import PostgreSQLServer


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def test_a_schema_with_tables_of_others_is_refused_and_left_alone(subject: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "d.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.execute(f"CREATE TABLE {PREFIX}left (id INTEGER)")
    with pytest.raises(ConfigurationError, match=r"1 tables in the database are not pipekit's \(orders\)"):
        subject("sqlite").certify("names")
    assert sorted(tables(tmp_path / "d.db")) == ["orders", f"{PREFIX}left"]


@pytest.mark.parametrize("name", ["pipekit_certify", "pipekit_certifyX", "Pipekit_certify_x", "my_pipekit_certify_x"])
def test_a_name_like_ours_is_another_s(subject: Make, tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / "d.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {name} (id INTEGER)")
    with pytest.raises(ConfigurationError, match=rf"1 tables in the database are not pipekit's \({name}\)"):
        subject("sqlite").certify("names")
    assert tables(tmp_path / "d.db") == [name]


def test_another_one_in_the_schema_is_not_disturbed(subject: Make) -> None:
    """Each drops at its beginning what an earlier one left: it took the tables of the other."""
    made, said = subject("sqlite"), []

    def once_more(finding: Finding) -> None:
        with pytest.raises(ConfigurationError, match="Another certification is at work") as raised:
            made.certify("types: date")
        said.append(raised.value)

    def asked(check: Check) -> bool:
        return check.name == "date"

    report = certify(made.config, made.connection, made.driver, made.schema, only=asked, on_finding=once_more)
    assert (report.count("held"), len(said)) == (1, 1)
    assert made.certify("types: date").count("held") == 1


@pytest.mark.postgresql
def test_a_login_that_may_only_read_is_told(subject: Make, postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Instead of sixty checks that are broken. Its password comes from a folder."""
    made = subject("postgresql")
    with postgresql.connect(made.connection.jdbc_url.rsplit("/", 1)[1].partition("?")[0]) as connection:
        connection.execute("CREATE ROLE certify_reader LOGIN PASSWORD 'read-only'")
        try:
            folder = tmp_path / "secrets"
            folder.mkdir()
            (folder / "READER").write_text("read-only\n")
            made.config = made.config.model_copy(update={"secrets_from": (SecretSource(folder=folder),)})
            made.connection = made.connection.model_copy(update={"username": "certify_reader", "password": "$READER"})
            with pytest.raises(
                ConfigurationError, match=r"may not make, fill and drop tables in public, .*permission denied"
            ):
                made.certify("types: date")
        finally:
            connection.execute("DROP ROLE certify_reader")


def test_a_schema_that_is_not_there_is_refused(subject: Make) -> None:
    made = subject("h2")
    made.schema = "NOWHERE"
    with pytest.raises(ConfigurationError, match="There is no schema NOWHERE"):
        made.certify("names")


def test_what_an_earlier_one_left_is_dropped_and_nothing_stays(subject: Make, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "d.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {PREFIX}left (id INTEGER)")
    report = subject("sqlite").certify("types: date", "names: quotes")
    assert (report.count("held"), report.broken) == (2, ())
    assert tables(tmp_path / "d.db") == []


def test_a_cancelled_one_drops_its_tables(subject: Make, tmp_path: Path) -> None:
    made, cancel = subject("sqlite"), threading.Event()
    seen = []

    def stop(finding: Finding) -> None:
        seen.append(tables(tmp_path / "d.db"))
        cancel.set()

    with pytest.raises(RunCancelled, match="its tables were dropped"):
        certify(made.config, made.connection, made.driver, made.schema, cancel=cancel, on_finding=stop)
    assert [name.startswith(PREFIX) for name in seen[0]] == [True]
    assert tables(tmp_path / "d.db") == []


def test_one_that_is_cancelled_before_its_first_check_drops_its_table(
    subject: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cancel = subject("sqlite"), threading.Event()
    create = Bench.create

    def then_cancel(bench: Bench, name: str, *columns: tuple[str, str]) -> str:
        table = create(bench, name, *columns)
        cancel.set()
        return table

    monkeypatch.setattr(Bench, "create", then_cancel)
    with pytest.raises(RunCancelled, match="its tables were dropped"):
        certify(made.config, made.connection, made.driver, made.schema, cancel=cancel)
    assert tables(tmp_path / "d.db") == []


def test_a_report_tells_nothing_of_the_place() -> None:
    connection = Connection(
        name="warehouse",
        driver="postgresql",
        jdbc_url="jdbc:postgresql://db7.corp.example:5433/sales?x=1",
        username="etl_user",
    )
    clean = Anonymizer(connection, "scratch_1", ["/srv/pipekit"]).clean
    said = clean("db7.corp.example: etl_user may not write scratch_1.t of sales (warehouse), see /srv/pipekit/log")
    assert said == "HOST: LOGIN may not write SCHEMA.t of DATABASE (CONNECTION), see FOLDER/log"


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_its_checks(kind: str) -> None:
    found = [(check.subject, check.name) for check in checks(get_dialect(kind))]
    assert len(found) == len(set(found)) > 50
    assert len([check for check in checks(get_dialect(kind)) if check.quick]) >= 10
