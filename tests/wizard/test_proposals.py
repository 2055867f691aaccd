"""What is proposed from columns alone: keys, watermarks, strategies, names. Nothing is opened here."""

from __future__ import annotations

import pytest

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.introspection import ColumnInfo, Key, TableInfo
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.wizard.connecting import address_hint, driver_of, jdbc_url, make_connection, secret_name
from pipekit_engine.wizard.draft import dest_table_name, module_name
from pipekit_engine.wizard.proposals import candidates, identifying_key, only_grows, propose


def column(
    name: str, family: str = "timestamp", *, key: int | None = None, identity: bool = False, null: bool = True
) -> ColumnInfo:
    described = Column(name, family, family.upper(), 0, 10, 0, null and key is None)
    return ColumnInfo(described, key_position=key, identity=identity)


ID = column("id", "int64", key=1, identity=True)


@pytest.mark.parametrize(
    "name",
    ["updated_at", "UPDATED", "UpdatedAt", "lastModified", "last_modified_date", "LAST_UPDATE", "LASTUPDTS", "mtime", "CHGDT",
     "changed_on", "SystemModstamp", "date_modified", "ModifiedDate", "row_updated_ts", "orders_updated_at", "order_updated_at",
     "modification_time", "last_edited_when", "etl_updated_at", "dt_updated_utc", "ORDUPDTS"[3:]],
)  # fmt: skip
def test_names_that_say_when_a_row_changed(name: str) -> None:
    proposal = propose("orders", [ID, column("created_at"), column(name)])
    assert proposal.watermark is not None
    assert (proposal.strategy, proposal.key, proposal.watermark.column, proposal.watermark.finds) == (
        "upsert", ("id",), name, "changes",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["password_changed_at", "email_updated_at", "exchange_date", "next_update_at", "updated_by_date", "birth_date", "due_at",
     "price_change_time", "unmodified_at", "status_updated"],
)  # fmt: skip
def test_names_that_only_look_so(name: str) -> None:
    """A change of the password is not every change of the row: rows would silently be missed."""
    proposal = propose("users", [ID, column(name)])
    assert (proposal.strategy, proposal.watermark) == ("full", None)


@pytest.mark.parametrize("table", ["event_log", "AuditTrailEvents", "audit_log", "PriceHistory", "page_visits", "LOG"])
def test_tables_that_only_grow_take_what_finds_new_rows(table: str) -> None:
    assert only_grows(table)
    by_number = propose(table, [ID, column("created_at")])
    assert by_number.watermark is not None
    assert (by_number.strategy, by_number.watermark.column) == ("upsert", "id")
    assert any("changes of older rows are not seen" in caution for caution in by_number.cautions)
    by_time = propose(table, [column("what", "text"), column("created_at")])
    assert (by_time.strategy, by_time.key) == ("incremental", ("created_at",)), (
        "all rows of one time are replaced together"
    )


@pytest.mark.parametrize("table", ["customers", "logins", "catalogue", "blog_posts", "eventful"])
def test_other_tables_do_not_take_what_finds_new_rows_only(table: str) -> None:
    proposal = propose(table, [ID, column("created_at")])
    assert (proposal.strategy, proposal.watermark) == ("full", None)
    assert "id would find new rows only" in proposal.reason


def test_why_a_table_is_replaced_as_a_whole() -> None:
    assert "no column says when a row changed" in propose("t", [ID]).reason
    assert "but no key tells the rows apart" in propose("t", [column("updated_at")]).reason
    assert propose("t", [column("a", "text")]).reason.startswith("no key and no time of change")


def test_what_is_given_stands_and_the_rest_fits() -> None:
    columns = [ID, column("batch", "int32"), column("seen"), column("updated_at"), column("note", "text")]
    assert propose("t", columns, strategy="full").watermark is None
    assert propose("t", columns, watermark="none").strategy == "full"
    assert propose("t", columns, key=["BATCH"], strategy="incremental").key == ("batch",)
    chosen = propose("t", columns, watermark="seen")
    assert (chosen.strategy, chosen.watermark.finds if chosen.watermark else "") == ("upsert", "unknown")
    assert "make sure that seen grows" in chosen.cautions[1]
    append = propose("t", columns, strategy="append")
    assert (append.key, append.watermark.column if append.watermark else "") == ((), "updated_at")
    assert any("is lost" in caution for caution in append.cautions)
    with pytest.raises(NotFoundError, match="Did you mean 'batch'"):
        propose("t", columns, key=["btch"])
    with pytest.raises(ConfigurationError, match="note is TEXT: a watermark is a time"):
        propose("t", columns, watermark="note")
    with pytest.raises(ConfigurationError, match="--key"):
        propose("t", [column("updated_at")], watermark="updated_at")
    with pytest.raises(ConfigurationError, match="--key"):
        propose("t", [column("a", "text")], strategy="upsert")


def test_keys_come_in_their_own_order_and_a_unique_one_stands_in() -> None:
    columns = [column("line", "int32", key=2), column("order_id", "int32", key=1)]
    assert propose("t", [*columns, column("updated_at")]).key == ("order_id", "line")
    plain = [column("code", "text", null=False), column("a", "text", null=False), column("b", "text")]
    keys = [Key(("a", "b"), primary=False), Key(("code", "a"), primary=False), Key(("code",), primary=False)]
    assert identifying_key(plain, keys) == ("code",)
    assert identifying_key(plain[1:], [keys[0]]) == (), "a NULL would double rows"


def test_sqlite_keeps_times_in_text() -> None:
    columns = [ID, column("updated_at", "text")]
    assert propose("t", columns).watermark is None
    found = propose("t", columns, times_as_text=True).watermark
    assert found is not None
    assert found.kind == "text"


def test_candidates_come_best_first() -> None:
    columns = [column("due_at"), ID, column("created_at"), column("change_date", "date"), column("updated_at")]
    names = [item.column for item in candidates("t", columns)]
    assert names == ["updated_at", "change_date", "id", "created_at", "due_at"]


@pytest.mark.parametrize(
    ("source", "schema", "table", "dest", "expected"),
    [
        ("mariadb", "shop", "orders", "postgresql", "shop.orders"),
        ("oracle", "SALES", "ORDER_LINES", "postgresql", "sales.order_lines"),
        ("db2", "ERPLIB", "F4211", "postgresql", "erplib.f4211"),
        ("sqlserver", "dbo", "Customers", "postgresql", '"Customers"'),
        ("postgresql", "public", "orders", "mariadb", "orders"),
        ("postgresql", "crm", "leads", "sqlite", "leads"),
        ("postgresql", "crm", "leads", "oracle", "LEADS"),
        ("sqlite", None, "order", "postgresql", '"order"'),
        ("mariadb", "my-shop", "a b", "postgresql", '"my-shop"."a b"'),
    ],
)
def test_destination_names_are_in_the_destinations_case(
    source: str, schema: str | None, table: str, dest: str, expected: str
) -> None:
    text = dest_table_name(TableInfo(table, schema), get_dialect(source), get_dialect(dest))
    assert text.upper() == expected.upper() if dest == "oracle" else text == expected


def test_module_names_are_free_and_valid() -> None:
    table = TableInfo("Order Lines", "sales")
    assert module_name(table, ()) == "order_lines"
    assert module_name(table, {"order_lines"}) == "sales_order_lines"
    assert module_name(table, {"order_lines", "sales_order_lines"}) == "order_lines_2"
    assert module_name(TableInfo("_größe"), ()) == "gr_e"


def test_addresses_become_urls() -> None:
    assert jdbc_url("mariadb", "db1/shop") == "jdbc:mariadb://db1:3306/shop"
    assert jdbc_url("postgresql", "[::1]:5433/dw") == "jdbc:postgresql://[::1]:5433/dw"
    assert jdbc_url("sqlserver", "h:1/x") == "jdbc:sqlserver://h:1;databaseName=x"
    assert jdbc_url("oracle", "h/pdb1") == "jdbc:oracle:thin:@//h:1521/pdb1"
    assert jdbc_url("db2", "as400") == "jdbc:as400://as400"
    assert jdbc_url("sqlite", "/data/a b.db") == "jdbc:sqlite:/data/a b.db"
    assert jdbc_url("h2", "jdbc:h2:mem:x") == "jdbc:h2:mem:x"
    assert address_hint("db2") == "host/library, or a JDBC URL"
    for kind, address in (("mariadb", "h:3306"), ("postgresql", "a b/c"), ("generic", "h/x")):
        with pytest.raises(ConfigurationError, match="JDBC URL"):
            jdbc_url(kind, address)


def test_connections_never_hold_a_password() -> None:
    from pipekit_engine.databases.dialects import builtin_drivers

    drivers = builtin_drivers()
    assert driver_of("jdbc:mysql://h/d", drivers) == "mysql"
    assert driver_of("jdbc:jtds:sqlserver://h/d", drivers) == "sqlserver"
    assert secret_name("my-shop.2") == "MY_SHOP_2_PASSWORD"
    assert secret_name("2nd") == "DB_2ND_PASSWORD"
    with pytest.raises(ConfigurationError) as refused:
        make_connection("c", "mariadb", "jdbc:mariadb://h/d?password=sentinel", "u", None)
    assert "sentinel" not in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        make_connection("c", "mariadb", "jdbc:mariadb://h/d", "u", "sentinel")
    assert "sentinel" not in str(refused.value)
