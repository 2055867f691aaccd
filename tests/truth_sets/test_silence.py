"""What must not happen in silence: each test moves data in one way that has once lost some, and looks at both ends."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.truth_sets.comparer import compare
from tests.truth_sets.known import SILENCE, mark
from tests.truth_sets.readers import JARS, PostgreSQL
from tests.truth_sets.site import Site

MakeSite = Callable[[str, str], Site]


def cases(test: str, *names: str, quick: int = 1) -> list[object]:
    """The cases of a test, the known ones marked; the first `quick` of them are in the quick cut."""
    slow = [pytest.mark.all_pairs]
    return [pytest.param(name, marks=[*mark(SILENCE, (test, name)), *(slow if place >= quick else [])])
            for place, name in enumerate(names)]  # fmt: skip


def differences(site: Site, table: str, key: str = "id") -> list[str]:
    source, dest = site.source.read(table), site.dest.read(table)
    return [str(found) for found in compare(table, site.source.kind, source, dest, [key])]


# --- times that are text


@pytest.mark.parametrize("dest", cases("west", "postgresql", "sqlite", "mariadb"))
def test_a_change_at_an_offset_west_of_utc_arrives(site: MakeSite, dest: str) -> None:
    place = site("sqlite", dest)
    place.source.execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, updated_at TIMESTAMP)",
        "INSERT INTO orders VALUES (1, 1, '2024-03-01 10:00:00-05:00'), (2, 2, '2024-03-01 10:30:00-05:00')",
    )
    done = place.wizard("--table", "orders", "--lag", "1m")
    assert done.status == 0, done.err
    assert place.run(["orders"])["orders"].error is None
    place.source.execute("UPDATE orders SET total = 20, updated_at = '2024-03-01 11:00:00-05:00' WHERE id = 2")
    outcome = place.run(["orders"])["orders"]
    assert outcome.error is None, outcome.error
    assert not differences(place, "orders")


@pytest.mark.parametrize("dest", cases("fall", "sqlite", "postgresql"))
def test_a_change_in_the_hour_that_comes_twice_arrives(site: MakeSite, dest: str) -> None:
    place = site("sqlite", dest)
    place.source.execute(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER, updated_at TIMESTAMP)",
        "INSERT INTO orders VALUES (1, 1, '2024-11-03 01:50:00-04:00')",
    )
    assert place.wizard("--table", "orders", "--lag", "1m").status == 0
    assert place.run(["orders"])["orders"].error is None
    place.source.execute("INSERT INTO orders VALUES (2, 2, '2024-11-03 01:10:00-05:00')")
    assert place.run(["orders"])["orders"].error is None
    assert not differences(place, "orders")


@pytest.mark.parametrize("case", cases("markers", "timestamptz"))
def test_instants_beyond_a_timestamp_of_mariadb(site: MakeSite, case: str) -> None:
    """0001 and 9999 stand for "always" and "never"; what changes later is found by the watermark all the same."""
    place = site("postgresql", "mariadb")
    place.source.execute(
        "CREATE TABLE price (id integer PRIMARY KEY, until timestamptz, changed timestamptz NOT NULL)",
        "INSERT INTO price VALUES (1, '0001-01-01 00:00+00', '2024-03-01 10:00-05'), "
        "(2, '9999-12-31 23:59:59.999999+00', '2024-03-01 10:30-05')",
    )
    done = place.wizard("--table", "price", "--watermark", "changed", "--lag", "1m")
    assert done.status == 0, done.err
    for changed in ("2024-03-01 10:30:30-05", "2024-03-01 10:29:45-05"):  # the second one late, within the lag
        outcome = place.run(["price"])["price"]
        assert outcome.error is None, outcome.error
        place.source.execute(f"UPDATE price SET until = now(), changed = '{changed}' WHERE id = 2")
    outcome = place.run(["price"])["price"]
    assert outcome.error is None, outcome.error
    assert outcome.counts[:3] == (1, 0, 1)
    assert not differences(place, "price")


# --- rows of other tables, rows that triggers and policies keep


@pytest.mark.parametrize("strategy", ["full", "incremental"])
@pytest.mark.parametrize("dest", cases("cascade", "postgresql", "mariadb", "h2", "derby", "hsqldb"))
def test_children_outlive_the_load_of_their_parents(site: MakeSite, dest: str, strategy: str) -> None:
    place = site("sqlite", dest)
    place.source.execute(
        "CREATE TABLE parent (id INTEGER, name VARCHAR(20))", "INSERT INTO parent VALUES (1, 'a'), (2, 'b')"
    )
    place.dest.execute(
        "CREATE TABLE parent (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER, "
        "FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (1, 'a'), (2, 'old')",
        "INSERT INTO child VALUES (10, 1), (20, 2)",
    )
    key = {"merge_key": ["id"]} if strategy == "incremental" else {}
    place.modules({"parent": {"query": "SELECT id, name FROM parent", "strategy": strategy, **key}})
    outcome = place.run(["parent"])["parent"]
    assert sorted(place.dest.read("child").rows) == [("10", "1"), ("20", "2")]
    assert outcome.error is None or outcome.refuses("child|cascade"), outcome.error


#: Triggers that keep a row from being deleted, without an error.
KEEPERS = {
    "postgresql": [
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN CASE WHEN OLD.id = 9 THEN NULL ELSE OLD END; END $$",
        "CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()",
    ],
    "sqlite": ["CREATE TRIGGER keep BEFORE DELETE ON t WHEN OLD.id = 9 BEGIN SELECT RAISE(IGNORE); END"],
}


@pytest.mark.parametrize("dest", cases("keeper", *KEEPERS, quick=2))
def test_rows_that_a_trigger_keeps(site: MakeSite, dest: str) -> None:
    place = site("sqlite", dest)
    place.source.execute("CREATE TABLE t (id INTEGER, name TEXT)", "INSERT INTO t VALUES (1, 'a')")
    place.dest.execute(
        "CREATE TABLE t (id INTEGER, name VARCHAR(20))", "INSERT INTO t VALUES (9, 'kept')", *KEEPERS[dest]
    )
    place.modules({"t": {"query": "SELECT id, name FROM t"}})
    outcome = place.run(["t"])["t"]
    assert outcome.error is not None or not differences(place, "t")


@pytest.mark.parametrize("dest", cases("keeper", *KEEPERS, quick=2))
def test_rows_that_a_trigger_keeps_beside_the_new_ones_of_their_key(site: MakeSite, dest: str) -> None:
    """In a table without a unique key nothing else is in the way of the doubled row, in each of the ways to merge."""
    place = site("sqlite", dest)
    place.source.execute("CREATE TABLE t (id INTEGER, name TEXT)", "INSERT INTO t VALUES (9, 'new')")
    queries = {
        "one": "SELECT id, name FROM t",
        "shared": "SELECT id, name FROM t UNION ALL SELECT id, 'more' FROM t",
        "whole": "SELECT id, name, 1 AS added FROM t",
    }
    for name in queries:
        place.dest.execute(
            f"CREATE TABLE {name} (id INTEGER, name VARCHAR(20))", f"INSERT INTO {name} VALUES (9, 'kept')"
        )
        place.dest.execute(
            *(text.replace("ON t", f"ON {name}").replace("keep", f"keep_{name}") for text in KEEPERS[dest])
        )
    fields = {"strategy": "incremental", "merge_key": ["id"], "on_schema_change": "add_columns"}
    place.modules({name: {"query": query, **fields} for name, query in queries.items()})
    for name, outcome in place.run(list(queries)).items():
        assert outcome.refuses("trigger"), (name, outcome)
        assert place.dest.read(name).rows == [("9", "kept")]


@pytest.mark.parametrize("case", cases("policy", "hidden"))
def test_rows_that_a_policy_hides(site: MakeSite, case: str) -> None:
    place = site("postgresql", "sqlite")
    source = place.source
    assert isinstance(source, PostgreSQL)
    role = f"reader_{source.name}"
    source.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, owner text)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON t USING (owner = 'a')",
        f"CREATE ROLE {role} LOGIN PASSWORD 'x-secret-x'",
        f"GRANT SELECT ON t TO {role}",
    )
    assert place.project.look("secrets", "set", "ROLE_PW", stdin="x-secret-x").status == 0
    place.define("role", {"connections": {"role": {
        "driver": "postgresql", "jdbc_url": source.url, "username": role, "password": "$ROLE_PW"}}})  # fmt: skip
    place.modules({"t": {"source": "role", "query": "SELECT id, owner FROM t"}})
    outcome = place.run(["t"])["t"]
    assert outcome.refuses("row.level security") or not differences(place, "t")


@pytest.mark.parametrize("case", cases("invisible", "only"))
def test_invisible_columns_are_moved_or_told_of(site: MakeSite, case: str) -> None:
    place = site("mariadb", "sqlite")
    place.source.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(10), secret INT INVISIBLE DEFAULT 7)",
        "INSERT INTO t (id, name, secret) VALUES (1, 'a', 42)",
    )
    done = place.wizard("--table", "t", "--strategy", "full")
    assert done.status == 0, done.err
    assert place.run(["t"])["t"].error is None
    assert not differences(place, "t") or "secret" in done.out + done.err


# --- values that are nearly equal


@pytest.mark.parametrize("dest", cases("zeros", "postgresql", "mariadb", "sqlite", "h2", "derby", "hsqldb", "duckdb"))
def test_leading_zeros_of_a_text_are_not_lost_in_a_number(site: MakeSite, dest: str) -> None:
    place = site("sqlite", dest)
    place.source.execute("CREATE TABLE t (id INTEGER, code TEXT)", "INSERT INTO t VALUES (1, '007')")
    place.dest.execute("CREATE TABLE t (id INTEGER, code INTEGER)")
    place.modules({"t": {"query": "SELECT id, code FROM t"}})
    outcome = place.run(["t"])["t"]
    if outcome.error is None:
        assert place.dest.read("t").rows == [("1", "007")]
    else:
        assert outcome.refuses("code"), outcome.error


@pytest.mark.parametrize("dest", cases("own_char", "postgresql", "mariadb", "h2", "derby", "hsqldb"))
def test_blanks_at_the_end_in_a_char_of_ones_own(site: MakeSite, dest: str) -> None:
    """CHAR pads: that is documented. A text longer than the column must be refused all the same."""
    place = site("sqlite", dest)
    place.source.execute("CREATE TABLE t (id INTEGER, code TEXT)", "INSERT INTO t VALUES (1, 'abcdef')")
    place.dest.execute("CREATE TABLE t (id INTEGER, code CHAR(4))")
    place.modules({"t": {"query": "SELECT id, code FROM t"}})
    outcome = place.run(["t"])["t"]
    assert outcome.error is None or outcome.refuses("code")
    assert outcome.error or not differences(place, "t")


# --- settings of the server that change how values are written

SETTINGS = {
    "array_nulls": "array_nulls = off",
    "datestyle": "DateStyle = 'SQL, DMY'",
    "datestyle_german": "DateStyle = 'German'",
    "intervalstyle": "IntervalStyle = 'sql_standard'",
    "intervalstyle_iso": "IntervalStyle = 'iso_8601'",
    "bytea": "bytea_output = 'escape'",
    "floats": "extra_float_digits = -3",
    "zone": "TimeZone = 'America/New_York'",
    "strings": "standard_conforming_strings = off",
    "null_is": "transform_null_equals = on",
    "encoding": "client_encoding = 'LATIN1'",
    "money": "lc_monetary = 'C'",
    "search_path": "search_path = ''",
}
QUICK_SETTINGS = ("array_nulls", "intervalstyle")
CREATED = (
    "CREATE TABLE t (id integer PRIMARY KEY, d date, ts timestamp, tz timestamptz, i interval, b bytea, f double precision, "
    "r real, a text[], n integer[], da date[], fa float8[], ia interval[], ba bytea[], s text, z tstzrange)"
)
FILLED = (
    "INSERT INTO t VALUES (1, '2024-02-01', '2024-02-01 03:04:05.678901', '2024-02-01 03:04:05.678901+00', "
    "'1 year 2 mons -3 days 04:05:06.789', decode('5c00ff41', 'hex'), 0.1::float8 + 0.2::float8, 0.3::real, "
    "array['a', NULL, 'NULL'], array[1, 2], array['2024-02-01'::date], array[0.1::float8 + 0.2::float8], "
    "array['-1 day 02:03:04'::interval], array[decode('5c00', 'hex')], E'back\\\\slash ''quote'' \\u20ac', "
    '\'["2024-01-01 00:00:00+00","2024-06-01 00:00:00+00")\'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '
    "NULL, NULL, NULL, NULL, NULL)"
)


@pytest.mark.parametrize(
    ("setting", "dest"),
    [
        pytest.param(setting, dest, marks=[*mark(SILENCE, ("settings", f"{setting}-{dest}")),
                     *([] if setting in QUICK_SETTINGS else [pytest.mark.all_pairs])])
        for setting in SETTINGS for dest in ("postgresql", "sqlite")
    ],
)  # fmt: skip
@pytest.mark.sample(2, rest="all_pairs")
def test_settings_of_the_databases_change_no_value(site: MakeSite, setting: str, dest: str) -> None:
    place = site("postgresql", dest)
    place.source.execute(CREATED, FILLED)
    for database in (place.source, place.dest):
        if isinstance(database, PostgreSQL):
            database.execute(f"ALTER DATABASE {database.quote(database.name)} SET {SETTINGS[setting]}")
    for strategy, key in (("full", []), ("upsert", ["id"])):
        place.modules(
            {
                "t": {
                    "query": "SELECT * FROM public.t",
                    "strategy": strategy,
                    "merge_key": key,
                    "dest_table": "public.t" if dest == "postgresql" else "t",
                }
            }
        )
        outcome = place.run(["t"])["t"]
        assert outcome.error is None, outcome.error
        assert not differences(place, "t")


# --- mistakes in definitions


def small(site: MakeSite, dest: str = "sqlite") -> Site:
    place = site("sqlite", dest)
    place.source.execute("CREATE TABLE t (id INTEGER, at TEXT)", "INSERT INTO t VALUES (1, '2024-01-01')")
    return place


@pytest.mark.parametrize("case", cases("misspelt", "only"))
def test_a_misspelt_placeholder_is_an_error(site: MakeSite, case: str) -> None:
    place = small(site)
    since = {"since": {"connection": "src", "resolver_sql": "SELECT '2020-01-01'"}}
    place.define("modules", {"modules": {"t": {
        "source": "src", "dest": "dst", "query": "SELECT id, at FROM t WHERE at >= '{sinc}'", "dest_table": "t",
        "strategy": "append", "watermarks": since}}})  # fmt: skip
    done = place.project.look("apply")
    assert done.status != 0 or place.run(["t"])["t"].refuses("sinc"), "0 rows and a success"


#: Nights on which a run fails before it moves a row.
NIGHTS: dict[str, dict[str, object]] = {
    "resolver": {"watermarks": {"since": {"connection": "src", "resolver_sql": "SELECT max(at) FROM nowhere"}}},
    "no_value": {"watermarks": {"since": {"connection": "src", "resolver_sql": "SELECT NULL"}}},
    "query": {"query": "SELECT id, at FROM gone WHERE at >= '{since}'"},
    "column": {"query": "SELECT id, at, 1 AS newcomer FROM t WHERE at >= '{since}'"},
    "shrink": {"query": "SELECT id, at FROM t WHERE at > '{since}' AND id > 9", "max_shrink_percent": 20},
}


@pytest.mark.parametrize("run_on", ["failure", "always"])
@pytest.mark.parametrize("night", cases("hooks", *NIGHTS, quick=2))
@pytest.mark.sample(2, rest="all_pairs")
def test_a_failed_run_runs_its_hooks(site: MakeSite, night: str, run_on: str) -> None:
    place = small(site)
    place.dest.execute(
        "CREATE TABLE t (id INTEGER, at TEXT)",
        "INSERT INTO t VALUES (7, NULL)",
        "CREATE TABLE bell (n INTEGER)",
    )
    fields: dict[str, object] = {
        "query": "SELECT id, at FROM t WHERE at >= '{since}'",
        "watermarks": {"since": {"connection": "src", "resolver_sql": "SELECT '2020-01-01'"}},
        "hooks": [{"sql": "INSERT INTO bell VALUES (1)", "run_on": run_on}],
        **NIGHTS[night],
    }
    place.modules({"t": fields})
    assert place.run(["t"])["t"].error is not None
    assert place.dest.read("bell").rows == [("1",)]


@pytest.mark.parametrize("case", cases("mistyped", "only"))
def test_a_mistyped_sqlite_path_is_an_error(site: MakeSite, case: str) -> None:
    place = small(site)
    wrong = place.project.folder / "no-such.db"
    place.define("wrong", {"connections": {"wrong": {"driver": "sqlite", "jdbc_url": f"jdbc:sqlite:{wrong}"}}})
    place.apply()
    done = place.project("connections", "test", "wrong")
    place.modules({"m": {"source": "wrong", "query": "SELECT 1 AS x"}})
    outcome = place.run(["m"])["m"]
    assert done.status != 0
    assert outcome.error is not None
    assert not wrong.exists()


@pytest.mark.parametrize("case", cases("gone", "only"))
def test_apply_names_modules_whose_file_is_gone(site: MakeSite, case: str) -> None:
    place = small(site)
    place.modules({"lonely": {"query": "SELECT id FROM t"}}, "lonely")
    (place.project.folder / "definitions/lonely.yaml").unlink()
    done = place.project.look("apply")
    assert "lonely" in done.out + done.err


# --- a driver that lies


@pytest.fixture(scope="session")
def lying_jar(java: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lying")
    source = Path(__file__).with_name("LyingDriver.java")
    javac = Path(java).resolve().with_name("javac")
    subprocess.run([str(javac), "-d", str(folder), str(source)], check=True)
    jar = folder / "lying.jar"
    shutil.copy(JARS / "h2.jar", jar)
    program = str(javac.with_name("jar"))
    subprocess.run([program, "uf", str(jar), "-C", str(folder), "lying"], check=True)
    return jar


def lied_to(site: MakeSite, jar: Path, how: str, **fields: object) -> Site:
    place = site("sqlite", "h2")
    place.source.execute(
        "CREATE TABLE t (id INTEGER, name TEXT, place TEXT)",
        "INSERT INTO t VALUES (1, 'Antonia', 'Berlin'), (2, 'Bob', NULL)",
    )
    path = place.dest.url.removeprefix("jdbc:h2:")
    place.define("lying", {
        "drivers": {"lying": {"kind": "h2", "jar": str(jar), "class": "lying.LyingDriver"}},
        "connections": {"liar": {"driver": "lying", "jdbc_url": f"jdbc:lying:{how}:{path}", "username": "sa"}},
    })  # fmt: skip
    place.define(
        "modules",
        {
            "modules": {
                "t": {
                    "source": "src",
                    "dest": "liar",
                    "query": "SELECT id, name, place FROM t",
                    "dest_table": "t",
                    "strategy": "full",
                    **fields,
                }
            }
        },
    )
    return place


@pytest.mark.parametrize("how", cases("found", "swap", "drop", "cut", quick=3))
@pytest.mark.sample(3, rest="all_pairs")
def test_the_comparer_finds_what_a_driver_did(site: MakeSite, lying_jar: Path, how: str) -> None:
    place = lied_to(site, lying_jar, how)
    place.apply()
    outcome = place.run(["t"])["t"]
    assert outcome.error is None, outcome.error
    assert differences(place, "t")


@pytest.mark.parametrize("how", cases("lies", "swap", "drop", "cut"))
def test_verify_values_finds_what_a_driver_did(site: MakeSite, lying_jar: Path, how: str) -> None:
    place = lied_to(site, lying_jar, how, verify="values")
    place.apply()
    outcome = place.run(["t"])["t"]
    assert outcome.refuses("values|fingerprint|differ"), outcome


@pytest.mark.parametrize("how", cases("lies", "honest"))
def test_verify_values_finds_nothing_where_nothing_is(site: MakeSite, lying_jar: Path, how: str) -> None:
    place = lied_to(site, lying_jar, how, verify="values")
    place.apply()
    assert place.run(["t"])["t"].error is None
    assert not differences(place, "t")
