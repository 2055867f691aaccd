"""Reading SQL text: literals, names and comments apart from the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.errors import SourceError
from pipekit_engine.sql.syntax import UNKNOWN, SqlSyntax
from pipekit_engine.sql.text import as_subquery, materialize, placeholders, spans, split_statements

SYNTAXES: dict[str, SqlSyntax] = {
    "unknown": UNKNOWN,
    **{kind: get_dialect(kind).capabilities.syntax for kind in ("mysql", "oracle", "postgresql", "sqlserver", "h2")},
}


@pytest.mark.parametrize("kind", kinds())
@given(sql=st.text(alphabet="abEq'\"`-/*;{}[]# \n$0\\"))
def test_spans_are_the_whole_text(kind: str, sql: str) -> None:
    assert "".join(span.text for span in spans(sql, get_dialect(kind).capabilities.syntax)) == sql


@given(st.text(), st.text())
def test_a_value_is_never_looked_at_again(first: str, second: str) -> None:
    filled = materialize("{a}|{b}", {"a": first + "{b}", "b": second}, UNKNOWN)
    assert filled == f"{first}{{b}}|{second}"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT {a} + {b} + {a}", ["a", "b"]),
        ("SELECT '{a}'", ["a"]),
        ("SELECT 1 -- {a}\n, {b} /* {c} */", ["b"]),
        ("SELECT '{\"json\": 1}', {x y}, {1}, {}", []),
        ("SELECT $${a}$$, x::text", ["a"]),
        ("SELECT '{{a}}', '{{{b}}', '{{c}', '{{1,2},{3,4}}'", ["c"]),
    ],
)
def test_placeholders(sql: str, expected: list[str]) -> None:
    assert placeholders(sql, UNKNOWN) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("x = '{v}'", "x = 'it''s'"),
        ("x = {v}", "x = it's"),
        ("x = '{v}' AND y = '{other}' -- {v}\n", "x = 'it''s' AND y = '{other}' -- {v}\n"),
        ("a::int, 'q''{v}'", "a::int, 'q''it''s'"),
        ("$${v}$$", "$$it's$$"),
        (
            "'{{v}}', '{{{v}},{{v}}}', '{{1},{2}}', '{\"a\": {\"b\": 1}}'",
            "'{v}', '{{v},{v}}', '{{1},{2}}', '{\"a\": {\"b\": 1}}'",
        ),
        ("1 -- {{v}}", "1 -- {{v}}"),
    ],
)
def test_materialize(sql: str, expected: str) -> None:
    assert materialize(sql, {"v": "it's"}, UNKNOWN) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a; b;", ["a", "b"]),
        ("a;;  ; b", ["a", "b"]),
        ("INSERT INTO t VALUES ('x;y'); b", ["INSERT INTO t VALUES ('x;y')", "b"]),
        ('a ";" b; c `;`', ['a ";" b', "c `;`"]),
        ("a -- no; split\n; b /* ; */", ["a -- no; split", "b /* ; */"]),
        ("-- only a comment", []),
        ("DO $$ BEGIN a; b; END $$; c", ["DO $$ BEGIN a; b; END $$", "c"]),
        ("DO $x$ ; $x$", ["DO $x$ ; $x$"]),
        ("BEGIN a; b; END;", ["BEGIN a; b; END;"]),
        ("BEGIN; a; COMMIT", ["BEGIN", "a", "COMMIT"]),
        ("CREATE OR REPLACE PROCEDURE p() BEGIN a; b; END", ["CREATE OR REPLACE PROCEDURE p() BEGIN a; b; END"]),
        ("CREATE TRIGGER g AFTER INSERT ON t BEGIN a; END", ["CREATE TRIGGER g AFTER INSERT ON t BEGIN a; END"]),
        ("CREATE TABLE procedure_log (a int); b", ["CREATE TABLE procedure_log (a int)", "b"]),
        ("", []),
    ],
)
def test_split_statements(script: str, expected: list[str]) -> None:
    assert split_statements(script, UNKNOWN) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; -- done;\n ; ", "SELECT 1"),
        ("SELECT ';' -- x", "SELECT ';'"),
        ("SELECT 1 -- kept\n FROM t", "SELECT 1 -- kept\n FROM t"),
    ],
)
def test_as_subquery(sql: str, expected: str) -> None:
    assert as_subquery(sql, UNKNOWN) == expected


VALUE = "C:\\it's\"\\"


@pytest.mark.parametrize(
    ("kind", "sql", "expected"),
    [
        ("unknown", "x = '{v}'", "x = 'C:\\it''s\"\\'"),
        ("unknown", "x = E'{v}'", "x = E'C:\\\\it''s\"\\\\'"),
        ("unknown", "x = E'\\'{v}', y = '{v}'", "x = E'\\'C:\\\\it''s\"\\\\', y = 'C:\\it''s\"\\'"),
        ("unknown", "x = q'[{v}]'", "x = q'[C:\\it's\"\\]'"),
        ("mysql", "x = '{v}'", "x = 'C:\\\\it''s\"\\\\'"),
        ("mysql", 'x = "{v}"', 'x = "C:\\\\it\'s""\\\\"'),
        ("mysql", "x = 'it\\'s' AND y = '{v}' # {v}", "x = 'it\\'s' AND y = 'C:\\\\it''s\"\\\\' # {v}"),
    ],
)
def test_a_literal_means_exactly_the_value(kind: str, sql: str, expected: str) -> None:
    assert materialize(sql, {"v": VALUE}, SYNTAXES[kind]) == expected


@pytest.mark.parametrize(
    ("kind", "script", "expected"),
    [
        ("unknown", "a E'it\\'s; b'; c", ["a E'it\\'s; b'", "c"]),
        ("unknown", "a e'x''\\\\'; c", ["a e'x''\\\\'", "c"]),
        ("unknown", "a 'C:\\'; c", ["a 'C:\\'", "c"]),
        ("unknown", "a q'[it's; b]'; nq'!it's;!'; c", ["a q'[it's; b]'", "nq'!it's;!'", "c"]),
        ("unknown", "price 'x'; # b; c", ["price 'x'", "# b", "c"]),
        ("mysql", "a 'it\\'s; b'; c", ["a 'it\\'s; b'", "c"]),
        ("mysql", 'a "it\'s; \\" b"; c', ['a "it\'s; \\" b"', "c"]),
        ("mysql", "a # it's; b\n; c", ["a # it's; b", "c"]),
        ("mysql", "a 5--3; b -- it's;\n; c", ["a 5--3", "b -- it's;", "c"]),
        ("mysql", "a $$; b", ["a $$", "b"]),
    ],
)
def test_statements_in_each_spelling(kind: str, script: str, expected: list[str]) -> None:
    assert split_statements(script, SYNTAXES[kind]) == expected


def test_a_comment_at_the_end_of_a_mysql_query() -> None:
    assert as_subquery("SELECT 'it\\'s # no' # it's the end;", SYNTAXES["mysql"]) == "SELECT 'it\\'s # no'"


@pytest.mark.parametrize(
    ("kind", "sql", "value"),
    [
        ("oracle", "q'[{v}]'", "x]' OR 1=1 --"), ("oracle", "nq'!{v}!'", "!'"), ("oracle", "q'({v})'", ")'||'("),
        ("postgresql", "$${v}$$", "$$"), ("postgresql", "$${v}$$", "a$"), ("postgresql", "$q${v}$q$", "$q$ OR $q$"),
        ("postgresql", "$ä${v}$ä$", "$ä$"), ("h2", "$${v}$$", "$$ OR $$"), ("postgresql", "U&'{v}'", "\\0027"),
        ("h2", "u&'{v}' UESCAPE '!'", "!0027"),
    ],
)  # fmt: skip
def test_a_value_that_would_end_its_literal_is_refused(kind: str, sql: str, value: str) -> None:
    """The promise that a value never ends its literal did not hold where a quote is not the end."""
    with pytest.raises(SourceError, match="The value of watermark v cannot stand in"):
        materialize(sql, {"v": value}, SYNTAXES[kind])


@pytest.mark.parametrize(
    ("kind", "sql", "value", "expected"),
    [
        ("oracle", "q'[{v}]'", "it's [x]", "q'[it's [x]]'"),
        ("postgresql", "$q${v}$q$", "$$ a $", "$q$$$ a $$q$"),
        ("postgresql", "E'a'\n -- b\n '{v}'", "\\'", "E'a'\n -- b\n '\\\\'''"),
        ("postgresql", "'a'\n '{v}'", "\\'", "'a'\n '\\'''"),
        ("postgresql", 'x AS "{v}"', 'a"b', 'x AS "a""b"'),
        ("sqlserver", "[{v}]", "a]b", "[a]]b]"),
        ("mysql", "`{v}`", "a`b", "`a``b`"),
    ],
)
def test_a_value_stays_inside_of_what_it_stands_in(kind: str, sql: str, value: str, expected: str) -> None:
    assert materialize(sql, {"v": value}, SYNTAXES[kind]) == expected
