"""The wizard by flags alone, on real databases: what it proposes is applied, runs, and moves only what is new next time."""

from __future__ import annotations

import pytest
import yaml

from tests.cli.conftest import Done, Project
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.wizard.conftest import LATER, fill


def wizard(project: Project, *flags: str) -> Done:
    done = project.look("wizard", *flags)
    assert "Traceback" not in done.err
    return done


def runs(project: Project, module: str) -> tuple[int, int]:
    """Run a module: rows read, rows that the destination got or changed."""
    done = project("run", module, "--json")
    assert done.status == 0, done.err
    return done.json["rows_read"], (done.json["rows_inserted"] or 0) + (done.json["rows_updated"] or 0)


def test_one_table_in_sqlite(shop: Project) -> None:
    done = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "dw", "--group", "nightly",
                  "--schedule", "0 2 * * *", "--timezone", "Europe/Paris", "--yes")  # fmt: skip
    assert done.status == 0, done.err
    assert "+ module orders" in done.out
    assert "rows deleted at the source stay" in done.err
    text = (shop.folder / "definitions/orders.yaml").read_text()
    module = yaml.safe_load(text)["modules"]["orders"]
    assert (module["strategy"], module["merge_key"]) == ("upsert", ["id"])
    assert "updated_at >= '{since}' OR updated_at IS NULL" in module["query"]
    assert text.startswith("# orders of shop, kept in step in dw.")
    assert shop.look("apply", "--dry-run").out.endswith("0 to create, 0 to change, 0 to delete, 5 unchanged\n")
    assert runs(shop, "orders") == (4, 4)
    fill(shop.folder / "shop.db", LATER)
    assert runs(shop, "orders")[0] == 5, "new, changed, without a time, within the lag; never order 6"
    assert shop.rows("SELECT id, total FROM orders ORDER BY id") == [
        (1, 11),
        (2, 20),
        (3, None),
        (4, 1.25),
        (5, 2.5),
        (6, 5),
    ]


def connections(
    project: Project, server: MariaDBServer, database: str, pg: PostgreSQLServer, warehouse: str
) -> list[str]:
    """Flags that make both connections; their passwords are secrets already."""
    for key, value in (("SHOP_PASSWORD", server.password), ("DW_PASSWORD", pg.password)):
        assert project.look("secrets", "set", key, stdin=value).status == 0
    return [
        "--source", "shop", "--source-url", server.jdbc_url(database), "--source-user", server.user,
        "--dest", "dw", "--dest-url", pg.jdbc_url(warehouse), "--dest-user", pg.user,
    ]  # fmt: skip


def test_mariadb_to_postgresql_from_nothing(
    project: Project, mariadb_shop: tuple[MariaDBServer, str], warehouse: tuple[PostgreSQLServer, str]
) -> None:
    server, database = mariadb_shop
    pg, target = warehouse
    flags = connections(project, server, database, pg, target)
    done = wizard(project, *flags, "--table", f"{database}.orders", "--dest-schema", "sales", "--yes", "--run")
    assert done.status == 0, done.err
    assert [row[0] for row in pg.sql(target, "SELECT id FROM sales.orders ORDER BY id")] == [1, 2, 3, 6]
    server.sql(database, LATER)
    read, changed = runs(project, "orders")
    assert (read, changed) == (5, 3), "never order 6, which did not change; two came again as they were"
    assert pg.sql(target, "SELECT id, total::text FROM sales.orders ORDER BY id") == [
        (1, "11.00"), (2, "20.00"), (3, None), (4, "1.25"), (5, "2.50"), (6, "5.00"),
    ]  # fmt: skip
    files = "".join(path.read_text() for path in (project.folder / "definitions").iterdir())
    assert server.password not in files
    assert "password: $SHOP_PASSWORD" in files


def test_many_tables_at_once(
    project: Project, mariadb_shop: tuple[MariaDBServer, str], warehouse: tuple[PostgreSQLServer, str]
) -> None:
    server, database = mariadb_shop
    pg, target = warehouse
    flags = connections(project, server, database, pg, target)
    server.sql(database, "CREATE VIEW broken AS SELECT id FROM orders; ALTER TABLE orders RENAME COLUMN id TO number")
    every = ("--tables", f"{database}.*", "--dest-schema", "shop", "--group", "all")
    done = wizard(project, *flags, *every, "--tables", f"{database}.broken", "--json", "--yes", "--run")
    assert done.status == 1, done.err
    found = done.json
    proposed = {item["name"]: (item["strategy"], item["merge_key"]) for item in found["modules"]}
    assert proposed == {"countries": ("full", []), "order_lines": ("full", []), "orders": ("upsert", ["number"])}
    assert [item["table"].rpartition(".")[2] for item in found["failed"]] == ["broken"]
    assert {item["module"]: item["status"] for item in found["runs"]} == dict.fromkeys(proposed, "success")
    assert sorted(found["groups"]["all"]) == sorted(proposed)
    assert project("run-group", "all").status == 0
    assert pg.sql(target, "SELECT sku FROM shop.order_lines ORDER BY line") == [("a",), ("b",)]
    server.sql(database, "DROP VIEW broken; CREATE TABLE added (id INTEGER PRIMARY KEY)")
    again = wizard(project, *flags, *every, "--yes")
    assert again.status == 1
    assert "already synced by module orders" in again.err
    assert "+ module added" in again.out
    assert "~ group all" in again.out


@pytest.mark.slow
def test_postgresql_to_sqlite_with_a_time_zone(project: Project, warehouse: tuple[PostgreSQLServer, str]) -> None:
    pg, database = warehouse
    pg.sql(database, "CREATE SCHEMA crm; CREATE TABLE crm.leads (lead_id bigint generated always as identity primary key,"
                     "who text, modified_on timestamptz NOT NULL)")  # fmt: skip
    insert = "INSERT INTO crm.leads (who, modified_on) VALUES "
    pg.sql(database, insert + "('a', '2024-03-31 00:59:59.999999+00'), ('b', '2024-03-31 04:00:00+02')")
    project.look("secrets", "set", "CRM_PASSWORD", stdin=pg.password)
    done = wizard(project, "--source", "crm", "--source-url", pg.jdbc_url(database), "--source-user", pg.user,
                  "--dest", "dw", "--dest-url", "jdbc:sqlite:dw.db", "--table", "crm.leads", "--lag", "0", "--yes")  # fmt: skip
    assert done.status == 0, done.err
    assert runs(project, "leads")[0] == 2
    pg.sql(database, insert + "('c', '2024-03-31 02:00:00.000001+00')")
    assert runs(project, "leads")[0] == 2, "the newest of before and the new one"
    assert [row[0] for row in project.rows("SELECT who FROM leads ORDER BY lead_id")] == ["a", "b", "c"]


def test_a_query_with_a_placeholder_and_one_without(shop: Project) -> None:
    shop.write("q.sql", "SELECT id AS number, updated_at FROM orders WHERE updated_at >= '{from_then}';\n")
    done = wizard(shop, "--source", "shop", "--query-file", "q.sql", "--dest", "dw", "--name", "q", "--yes")
    assert done.status == 2
    assert "--watermark" in done.err
    done = wizard(shop, "--source", "shop", "--query-file", "q.sql", "--dest", "dw", "--name", "q", "--key", "number",
                  "--watermark", "updated_at", "--yes")  # fmt: skip
    assert done.status == 0, done.err
    module = shop.look("modules", "q", "--json").json
    assert [mark["name"] for mark in module["watermarks"]] == ["from_then"]
    assert runs(shop, "q")[0] == 3
    done = wizard(shop, "--source", "shop", "--query", "SELECT upper(code) AS code FROM countries -- all", "--dest", "dw",
                  "--name", "codes", "--yes", "--run")  # fmt: skip
    assert done.status == 0, done.err
    assert shop.rows("SELECT code FROM codes") == [("FR",)]
    done = wizard(shop, "--source", "shop", "--query", "SELECT o.*, 1 AS one FROM orders o", "--dest", "dw", "--name", "w",
                  "--key", "id", "--watermark", "updated_at", "--yes", "--run")  # fmt: skip
    assert done.status == 0, done.err
    assert (
        shop.look("modules", "w", "--json")
        .json["query"]
        .endswith(") q\nWHERE q.updated_at >= '{since}' OR q.updated_at IS NULL")
    )


def test_columns_renames_types_and_hooks(shop: Project) -> None:
    done = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "dw", "--dest-table", "sold", "--exclude", "customer",
                  "--rename", "total=amount", "--rename", "id=number", "--type", "total=NUMERIC", "--lag", "1d",
                  "--hook", "CREATE INDEX IF NOT EXISTS sold_number ON sold (number)", "--yes", "--run")  # fmt: skip
    assert done.status == 0, done.err
    assert shop.rows("SELECT number, amount FROM sold ORDER BY number") == [(1, 10.5), (2, 20), (3, None), (6, 5)]
    indexes = shop.rows("SELECT name FROM sqlite_master WHERE type = 'index'")
    assert sorted(indexes) == [("sold_key",), ("sold_mark",), ("sold_number",)], "of key and watermark, and the hook's"
    module = shop.look("modules", "orders", "--json").json
    assert (module["merge_key"], module["watermarks"][0]["resolver_sql"]) == (
        ["number"], "SELECT datetime(max(updated_at), '-1 day') FROM sold",
    )  # fmt: skip


def test_a_half_open_window(shop: Project) -> None:
    done = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "dw", "--window", "--yes")
    assert done.status == 0, done.err
    module = shop.look("modules", "orders", "--json").json
    assert "(updated_at >= '{since}' AND updated_at < '{until}') OR updated_at IS NULL" in module["query"]
    fill(shop.folder / "shop.db", "UPDATE orders SET updated_at = '9999-01-01 00:00:00' WHERE id = 2")
    assert runs(shop, "orders")[0] == 3, "what the clock has not reached comes later"


def test_nothing_is_replaced_without_being_told_to(shop: Project) -> None:
    flags = ("--source", "shop", "--table", "orders", "--dest", "dw")
    assert wizard(shop, *flags, "--yes").status == 0
    file = shop.folder / "definitions/orders.yaml"
    before = file.read_text()
    again = wizard(shop, *flags, "--strategy", "full", "--yes")
    assert again.status == 2
    assert "already synced by module orders: --force" in again.err
    assert file.read_text() == before
    assert wizard(shop, *flags, "--strategy", "full", "--yes", "--force").status == 0
    assert "strategy: full" in file.read_text()
    other = wizard(shop, *flags, "--dest-table", "copy", "--name", "orders", "--yes")
    assert (other.status, "orders.yaml exists" in other.err) == (2, True)


def test_a_dry_run_prints_yaml_that_applies_and_writes_nothing(shop: Project) -> None:
    shop.rows("SELECT 1")  # opening an SQLite file makes it

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in shop.folder.rglob("*.*")}

    before = files()
    done = wizard(shop, "--source", "shop", "--tables", "order*", "--dest", "dw", "--group", "g", "--dry-run")
    assert done.status == 0, done.err
    assert files() == before
    assert shop.look("modules", "--json").json == []
    shop.write("printed/all.yaml", done.out)
    applied = shop.look("apply", "printed")
    assert applied.status == 0, applied.err
    assert "3 to create" in applied.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--source; --table, --tables, --query or --query-file; --dest; --yes"),
        (("--source", "shop", "--table", "orders", "--yes"), "--dest"),
        (("--source", "shop", "--table", "orders", "--dest", "dw"), "--yes (or --dry-run)"),
        (("--source", "shop", "--table", "ordrs", "--dest", "dw", "--yes"), "Did you mean 'orders'"),
        (("--source", "shp", "--table", "orders", "--dest", "dw", "--yes"), "Did you mean 'shop'"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--key", "idd", "--yes"), "There is no column 'idd'"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--lag", "soon", "--yes"), "10m, 2h or 1d"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--lag", "5", "--yes"), "such as 10m"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--strategy", "merge", "--yes"), "one of full"),
        (("--source", "shop", "--table", "orders", "--tables", "o*", "--dest", "dw", "--yes"), "one of --table"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--schedule", "@daily", "--yes"), "--group"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--group", "g", "--schedule", "0 25 * * *", "--yes"), "25"),
        (("--source", "shop", "--table", "countries", "--dest", "dw", "--strategy", "upsert", "--yes"), "--key"),
        (("--source", "shop", "--table", "orders", "--dest", "dw", "--exclude", "id", "--key", "id", "--yes"), "id"),
        (("--source", "new", "--source-url", "jdbc:sqlite:gone.db", "--table", "x", "--dest", "dw", "--yes"), "gone.db"),
        (("--source", "n", "--source-url", "jdbc:mariadb://u:pw@h/d", "--table", "x", "--dest", "dw", "--yes"), "password"),
        (("--source", "n", "--source-url", "jdbc:nope:x", "--table", "x", "--dest", "dw", "--yes"), "drivers list"),
    ],
)  # fmt: skip
def test_mistakes_name_the_flag_or_the_fix_and_change_nothing(shop: Project, flags: tuple[str, ...], said: str) -> None:
    done = wizard(shop, *flags)
    assert done.status == 2, done.err
    assert said in " ".join(done.err.replace("│", " ").split()), done.err
    assert not (shop.folder / "gone.db").exists()
    assert [path.name for path in (shop.folder / "definitions").iterdir()] == ["connections.yaml"]


def test_a_failure_at_the_end_takes_everything_back(shop: Project) -> None:
    """The group's file cannot be added to: no module file is left behind, and the store is as it was."""
    shop.write(
        "definitions/groups.yaml",
        """\
        groups: {g: {members: [keep]}}
        modules:
          keep: {source: shop, dest: dw, query: SELECT 1 AS a, dest_table: keep, strategy: full}
        """,
    )
    assert shop.look("apply").status == 0
    done = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "dw", "--group", "g2", "--yes")
    assert done.status == 2
    assert "groups.yaml is written in a way that cannot be added to safely" in done.err
    assert not (shop.folder / "definitions/orders.yaml").exists()
    assert [item["name"] for item in shop.look("modules", "--json").json] == ["keep"]
    joined = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "dw", "--group", "g", "--yes")
    assert joined.status == 0, joined.err
    assert "groups: {g: {members: [keep, orders]}}" in (shop.folder / "definitions/groups.yaml").read_text()


def test_what_does_not_read_back_is_taken_back(shop: Project) -> None:
    """Another file, not applied yet, means something else by the connection's name: files and store are as they were."""
    shop.write("definitions/other.yaml", 'connections: {till: {driver: sqlite, jdbc_url: "jdbc:sqlite:other.db"}}')
    done = wizard(
        shop, "--source", "till", "--source-url", "jdbc:sqlite:shop.db", "--table", "orders", "--dest", "dw", "--yes"
    )
    assert done.status == 2
    assert "connection till does not read back as it was written" in done.err
    assert sorted(path.name for path in (shop.folder / "definitions").iterdir()) == ["connections.yaml", "other.yaml"]
    assert [item["name"] for item in shop.look("connections", "list", "--json").json] == ["shop", "dw"]
    assert shop.look("modules", "--json").json == []


def test_a_group_that_was_edited_but_not_applied_is_not_applied_by_the_way(shop: Project) -> None:
    flags = ("--source", "shop", "--dest", "dw", "--group", "g", "--yes")
    assert wizard(shop, *flags, "--table", "orders").status == 0
    file = shop.folder / "definitions/groups.yaml"
    file.write_text(file.read_text() + "    max_parallel: 4\n")
    done = wizard(shop, *flags, "--table", "countries")
    assert done.status == 2
    assert "is not what the store holds. Run `pipekit apply" in done.err
    assert shop.look("apply").status == 0
    assert wizard(shop, *flags, "--table", "countries").status == 0
    assert shop.look("groups", "g", "--json").json["max_parallel"] == 4
    again = wizard(shop, *flags, "--table", "order_lines", "--schedule", "@daily")
    assert again.status == 0, again.err
    twice = wizard(shop, *flags, "--query", "SELECT 1 AS a", "--name", "one", "--schedule", "@hourly")
    assert (twice.status, "already has the schedule g" in twice.err) == (2, True)


def test_without_a_store_the_fix_is_named(empty_folder: Project) -> None:
    done = wizard(empty_folder, "--source", "a", "--table", "t", "--dest", "b", "--yes")
    assert (done.status, "pipekit init" in done.err) == (2, True)


def test_numbers_in_a_time_column_of_sqlite_are_no_watermark(shop: Project) -> None:
    fill(
        shop.folder / "shop.db",
        "CREATE TABLE pings (id INTEGER PRIMARY KEY, updated_at TIMESTAMP); INSERT INTO pings VALUES (1, 1714550400)",
    )
    done = wizard(shop, "--source", "shop", "--table", "pings", "--dest", "dw", "--json", "--dry-run")
    assert done.json["modules"][0]["strategy"] == "full"
    refused = wizard(shop, "--source", "shop", "--table", "pings", "--dest", "dw", "--watermark", "updated_at", "--yes")
    assert (refused.status, "keeps times as numbers" in refused.err) == (2, True)


def test_texts_of_times_without_an_order_are_no_watermark(shop: Project) -> None:
    fill(
        shop.folder / "shop.db",
        "CREATE TABLE members (id INTEGER PRIMARY KEY, updated_at TEXT);"
        "INSERT INTO members VALUES (1, '2024-05-01 10:00:00'), (2, '5/2/2024')",
    )
    done = wizard(shop, "--source", "shop", "--table", "members", "--dest", "dw", "--json", "--dry-run")
    assert done.json["modules"][0]["strategy"] == "full"
    refused = wizard(
        shop, "--source", "shop", "--table", "members", "--dest", "dw", "--watermark", "updated_at", "--yes"
    )
    assert (refused.status, "keeps times as texts without an order" in refused.err) == (2, True)


@pytest.mark.parametrize("declared", ["TEXT", "TIMESTAMP", "TIMESTAMPTZ"])
def test_texts_of_times_with_offsets_are_compared_by_the_instant(shop: Project, declared: str) -> None:
    fill(
        shop.folder / "shop.db",
        f"CREATE TABLE members (id INTEGER PRIMARY KEY, updated_at {declared});"
        "INSERT INTO members VALUES (1, '2024-05-01 10:00:00+02:00'), (2, '2024-05-01 10:00:00Z'), (3, NULL)",
    )
    for strategy in ("upsert", "append"):
        flags = ("--strategy", strategy, "--watermark", "updated_at", "--json", "--dry-run")
        done = wizard(shop, "--source", "shop", "--table", "members", "--dest", "dw", *flags)
        assert done.status == 0, done.err
        query = " ".join(done.json["modules"][0]["query"].split())
        if strategy == "upsert":
            assert query.endswith(
                "WHERE datetime(updated_at) >= datetime('{since}') OR datetime(updated_at) IS NULL"
            ), query
        else:
            form = "'%Y-%m-%d %H:%M:%f'"
            assert query.endswith(f"WHERE strftime({form}, updated_at) > strftime({form}, '{{since}}')"), query


def test_a_pattern_takes_the_connections_own_database_and_no_partition_of_a_table(
    project: Project, mariadb_shop: tuple[MariaDBServer, str], warehouse: tuple[PostgreSQLServer, str]
) -> None:
    server, database = mariadb_shop
    pg, target = warehouse
    with server.fresh_database() as other:
        server.sql(
            other, "CREATE TABLE stranger (id INTEGER PRIMARY KEY); CREATE TABLE orders (id INTEGER PRIMARY KEY)"
        )
        flags = connections(project, server, database, pg, target)
        every = wizard(project, *flags, "--tables", "*", "--dry-run", "--json").json
        assert sorted(module["name"] for module in every["modules"]) == ["countries", "order_lines", "orders"]
        one = wizard(project, *flags, "--table", "orders", "--dry-run", "--json")
        assert f"FROM {database}.orders" in one.json["modules"][0]["query"]
    pg.sql(target, "CREATE TABLE p (id int, d date) PARTITION BY RANGE (d); CREATE TABLE p_1 PARTITION OF p DEFAULT")
    assert wizard(project, *flags, "--table", "orders", "--yes").status == 0
    parts = ("--source", "dw", "--dest", "shop", "--dry-run", "--json")
    assert [item["name"] for item in wizard(project, *parts, "--tables", "p*").json["modules"]] == ["p"]
    assert [item["name"] for item in wizard(project, *parts, "--tables", "p_1").json["modules"]] == ["p_1"]


def test_a_table_is_never_copied_onto_itself(shop: Project) -> None:
    done = wizard(shop, "--source", "shop", "--table", "orders", "--dest", "shop", "--yes")
    assert done.status == 2
    assert "orders would be copied onto itself" in done.err
    assert (
        wizard(shop, "--source", "shop", "--table", "orders", "--dest", "shop", "--dest-table", "o2", "--yes").status
        == 0
    )


def test_zero_dates_of_mariadb_become_null_and_are_never_missed(
    project: Project, mariadb_shop: tuple[MariaDBServer, str], warehouse: tuple[PostgreSQLServer, str]
) -> None:
    """`updated_at >= '0001-01-01'` would leave out every row that was never updated, in silence."""
    server, database = mariadb_shop
    pg, target = warehouse
    server.sql(
        database,
        "SET sql_mode = ''; CREATE TABLE old (id INTEGER PRIMARY KEY, born DATE, made DATETIME DEFAULT '0000-00-00 00:00:00', "
        "updated_at DATETIME NOT NULL); INSERT INTO old VALUES (1, '0000-00-00', '2024-01-01 00:00:00', 0), "
        "(2, '2024-01-01', '2024-01-01 00:00:00', '2024-01-02 10:00:00')",
    )
    flags = connections(project, server, database, pg, target)
    done = wizard(project, *flags, "--table", "old", "--dest-schema", "public", "--yes", "--run")
    assert done.status == 0, done.err
    assert "zero dates in born, made, updated_at become NULL" in done.err
    server.sql(database, "SET sql_mode = ''; INSERT INTO old VALUES (3, NULL, 0, 0)")
    assert runs(project, "old") == (3, 1), "the two others came again as they were"
    rows = pg.sql(target, "SELECT id, born::text, made::text, updated_at::text FROM old ORDER BY id")
    assert rows == [
        (1, None, "2024-01-01 00:00:00", None),
        (2, "2024-01-01", "2024-01-01 00:00:00", "2024-01-02 10:00:00"),
        (3, None, None, None),
    ]
