"""Watermark values against the literals that they stand in: whatever the session's rules, a value stays a value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipekit_engine.errors import SourceError
from pipekit_engine.models import Driver
from tests.jars import jar
from tests.running.workbench import Workbench

#: Each ends a literal somewhere, and would then read all rows.
HOSTILE = [
    "\\' OR 1=1 -- ",
    "' OR '1'='1",
    "C:\\temp\\",
    "\\",
    "it's",
    '" OR 1=1 -- ',
    "a\\'b",
    "$$ OR 1=1 -- ",
    "]' OR 1=1 -- ",
]


@contextmanager
def source(bench: Workbench, server: Any, kind: str, **options: str) -> Iterator[None]:
    """A connection `own` to a database of the server whose table `t` holds the hostile texts."""
    with server.fresh_database() as database:
        if kind == "generic":
            bench.save(Driver(name="any", kind="generic", jar=jar(server.kind)))
        driver = "any" if kind == "generic" else kind
        bench.connect("own", driver, server.jdbc_url(database), server.user, server.password, options=options)
        bench.execute("CREATE TABLE t (v varchar(50))", connection="own")
        values = ", ".join(f"({''.join(f'chr({ord(c)})||' for c in text)}'')" for text in HOSTILE)
        if server.kind == "mariadb":
            values = ", ".join(f"(X'{text.encode().hex()}')" for text in HOSTILE)
        bench.execute(f"INSERT INTO t VALUES {values}", connection="own")
        yield


def read(bench: Workbench, query: str, value: str) -> list[str | None]:
    bench.execute("DROP TABLE IF EXISTS t")
    name = f"m{len(bench.store.definitions.load().modules)}"
    bench.module(name, source="own", query=query, watermarks={"w": ("src", "SELECT 'x'", None)})
    bench.run(name, watermarks={"w": value})
    return [row[0] for row in bench.rows("SELECT v FROM t")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("postgresql", {}),
        ("postgresql", {"options": "-c standard_conforming_strings=off"}),
        ("generic", {}),
        ("generic", {"options": "-c standard_conforming_strings=off"}),
    ],
)
def test_postgresql(bench: Workbench, postgresql: Any, kind: str, options: dict[str, str]) -> None:
    """With standard_conforming_strings=off a backslash ended the literal: all rows were read."""
    with source(bench, postgresql, kind, **options):
        for value in HOSTILE[:4]:
            assert read(bench, "SELECT v FROM t WHERE v = '{w}'", value) == [value]
        assert read(bench, "SELECT v FROM t WHERE v = E'a\\\\\\'b' OR v = E''\n -- on\n '{w}'", HOSTILE[0]) == [
            HOSTILE[0],
            "a\\'b",
        ]
        assert read(bench, "SELECT v, 1 AS \"{w}\" FROM t WHERE v = 'it''s'", 'x", v AS "y') == ["it's"]
        assert read(bench, "SELECT v FROM t WHERE v = $q${w}$q$", "it's") == ["it's"]
        for end in ("$q$ OR 1=1 -- ", "$q", "$q$"):
            with pytest.raises(SourceError, match=r"watermark w cannot stand in \$\$\.\.\.\$\$"):
                read(bench, "SELECT v FROM t WHERE v = $q${w}$q$", f"x{end}")
        with pytest.raises(SourceError, match=r"watermark w cannot stand in a query with U&"):
            read(bench, "SELECT v FROM t WHERE v = U&'{w}'", "\\0027 OR 1=1")


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        ("mariadb", ""),
        ("mariadb", "NO_BACKSLASH_ESCAPES"),
        ("mariadb", "ANSI_QUOTES"),
        ("generic", ""),
        ("generic", "NO_BACKSLASH_ESCAPES"),
    ],
)
def test_mariadb(bench: Workbench, mariadb: Any, kind: str, modes: str) -> None:
    """With NO_BACKSLASH_ESCAPES another value than the watermark's was compared, in silence."""
    with source(bench, mariadb, kind, sessionVariables=f"sql_mode='{modes}'"):
        for value in HOSTILE[:4]:
            assert read(bench, "SELECT v FROM t WHERE v = '{w}'", value) == [value]
        if modes == "ANSI_QUOTES":
            assert read(bench, "SELECT v AS \"v\", '{w}' AS \"\\\" FROM t WHERE v = '\\\\'", "it's") == ["\\"]
        elif kind == "mariadb":
            assert read(bench, 'SELECT v FROM t WHERE v = "{w}"', HOSTILE[5]) == [HOSTILE[5]]
