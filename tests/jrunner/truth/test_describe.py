"""How each database's types are sorted into families, described as a table and as a query: type mapping starts from this."""

from __future__ import annotations

import pytest

from tests.jrunner.truth.conftest import Truth, table
from tests.jrunner.truth.data import KINDS, SHAPES

#: The family of each shape, and of the kinds where it is another.
FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "boolean": ("boolean", {"mariadb": "int16"}),
    "int16": ("int16", {"sqlite": "int64"}),
    "int32": ("int32", {"sqlite": "int64"}),
    "int64": ("int64", {}),
    "decimal(38,0)": ("decimal", {"sqlite": "text"}),
    "decimal(38,10)": ("decimal", {"sqlite": "text"}),
    "decimal(38,37)": ("decimal", {"sqlite": "text"}),
    "decimal(12,2)": ("decimal", {}),
    "numeric, unconstrained": ("decimal", {"sqlite": "text"}),
    "float32": ("float32", {"sqlite": "float64", "hsqldb": "float64"}),
    "float64": ("float64", {}),
    "text": ("text", {}),
    "varchar(10)": ("text", {}),
    "char(4)": ("text", {}),
    "binary": ("binary", {}),
    "date": ("date", {}),
    "time": ("time", {}),
    "timestamp": ("timestamp", {}),
    "timestamptz": ("timestamptz", {"mariadb": "timestamp", "derby": "timestamp"}),
    "MariaDB's TIMESTAMP": ("timestamptz", {"derby": "timestamp"}),
    "uuid": ("uuid", {"derby": "text"}),
    "json": ("json", {"sqlite": "text", "mariadb": "text", "derby": "text", "hsqldb": "text"}),
    "array (PostgreSQL)": ("text", {"postgresql": "array"}),
    "enum (PostgreSQL)": ("text", {"postgresql": "other"}),
    "interval (PostgreSQL)": ("text", {"postgresql": "interval"}),
    "inet (PostgreSQL)": ("text", {"postgresql": "other"}),
}

#: Precision and scale by shape, where the database keeps them.
SIZES: dict[str, tuple[int, int]] = {"decimal(38,10)": (38, 10), "decimal(12,2)": (12, 2), "varchar(10)": (10, 0)}
OTHER_SIZES = {
    ("sqlite", "decimal(38,10)"): (0, 0),
    ("derby", "decimal(38,10)"): (31, 10),
    ("sqlite", "varchar(10)"): (0, 0),
    ("duckdb", "varchar(10)"): (0, 0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(2)
def test_families_and_sizes(truth: Truth, kind: str) -> None:
    wrong = []
    for shape in SHAPES:
        name = f"{kind}_from"
        as_table = truth.session.describe(name, table=table(shape))[1]
        as_query = truth.session.describe(name, sql=f"SELECT id, v FROM {table(shape)}")[1]
        usual, others = FAMILIES[shape.name]
        expected = others.get(kind, usual)
        # The text protocol does not tell a UUID from a CHAR.
        in_query = "text" if (kind, shape.name) == ("mariadb", "uuid") else expected
        if (as_table.family, as_query.family) != (expected, in_query):
            wrong.append(f"{shape.name}: table {as_table.family}, query {as_query.family}, expected {expected}")
        if shape.name in SIZES:
            size = OTHER_SIZES.get((kind, shape.name), SIZES[shape.name])
            for column in (as_table, as_query):
                if (column.precision, column.scale) != size:
                    wrong.append(f"{shape.name}: size {column.precision}, {column.scale}, expected {size}")
    assert not wrong, "\n".join(wrong)


def test_a_column_without_a_type_is_what_its_first_row_is(truth: Truth) -> None:
    sql = "SELECT 1 AS i, 1.5 AS f, 'a' AS t, x'00' AS b, NULL AS n"
    families = [column.family for column in truth.session.describe("sqlite_from", sql=sql)]
    assert families == ["int64", "float64", "text", "binary", "any"]
    empty = [
        column.family for column in truth.session.describe("sqlite_from", sql=f"SELECT * FROM ({sql}) WHERE i = 2")
    ]
    assert empty == ["any"] * 5
