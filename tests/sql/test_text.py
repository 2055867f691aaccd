"""Reading SQL text: literals, names and comments apart from the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit_engine.sql.text import Lexis, as_subquery, materialize, placeholders, spans, split_statements

LEXES: list[Lexis] = ["standard", "mysql"]


@pytest.mark.parametrize("lexis", LEXES)
@given(sql=st.text(alphabet="abEq'\"`-/*;{}[]# \n$0\\"))
def test_spans_are_the_whole_text(lexis: Lexis, sql: str) -> None:
    assert "".join(span.text for span in spans(sql, lexis)) == sql


@given(st.text(), st.text())
def test_a_value_is_never_looked_at_again(first: str, second: str) -> None:
    filled = materialize("{a}|{b}", {"a": first + "{b}", "b": second})
    assert filled == f"{first}{{b}}|{second}"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT {a} + {b} + {a}", ["a", "b"]),
        ("SELECT '{a}'", ["a"]),
        ("SELECT 1 -- {a}\n, {b} /* {c} */", ["b"]),
        ("SELECT '{\"json\": 1}', {x y}, {1}, {}", []),
        ("SELECT $${a}$$, x::text", ["a"]),
    ],
)
def test_placeholders(sql: str, expected: list[str]) -> None:
    assert placeholders(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("x = '{v}'", "x = 'it''s'"),
        ("x = {v}", "x = it's"),
        ("x = '{v}' AND y = '{other}' -- {v}\n", "x = 'it''s' AND y = '{other}' -- {v}\n"),
        ("a::int, 'q''{v}'", "a::int, 'q''it''s'"),
        ("$${v}$$", "$$it's$$"),
    ],
)
def test_materialize(sql: str, expected: str) -> None:
    assert materialize(sql, {"v": "it's"}) == expected


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
    assert split_statements(script) == expected


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
    assert as_subquery(sql) == expected


VALUE = "C:\\it's\"\\"


@pytest.mark.parametrize(
    ("lexis", "sql", "expected"),
    [
        ("standard", "x = '{v}'", "x = 'C:\\it''s\"\\'"),
        ("standard", "x = E'{v}'", "x = E'C:\\\\it''s\"\\\\'"),
        ("standard", "x = E'\\'{v}', y = '{v}'", "x = E'\\'C:\\\\it''s\"\\\\', y = 'C:\\it''s\"\\'"),
        ("standard", "x = q'[{v}]'", "x = q'[C:\\it's\"\\]'"),
        ("mysql", "x = '{v}'", "x = 'C:\\\\it''s\"\\\\'"),
        ("mysql", 'x = "{v}"', 'x = "C:\\\\it\'s""\\\\"'),
        ("mysql", "x = 'it\\'s' AND y = '{v}' # {v}", "x = 'it\\'s' AND y = 'C:\\\\it''s\"\\\\' # {v}"),
    ],
)
def test_a_literal_means_exactly_the_value(lexis: Lexis, sql: str, expected: str) -> None:
    assert materialize(sql, {"v": VALUE}, lexis) == expected


@pytest.mark.parametrize(
    ("lexis", "script", "expected"),
    [
        ("standard", "a E'it\\'s; b'; c", ["a E'it\\'s; b'", "c"]),
        ("standard", "a e'x''\\\\'; c", ["a e'x''\\\\'", "c"]),
        ("standard", "a 'C:\\'; c", ["a 'C:\\'", "c"]),
        ("standard", "a q'[it's; b]'; nq'!it's;!'; c", ["a q'[it's; b]'", "nq'!it's;!'", "c"]),
        ("standard", "price 'x'; # b; c", ["price 'x'", "# b", "c"]),
        ("mysql", "a 'it\\'s; b'; c", ["a 'it\\'s; b'", "c"]),
        ("mysql", 'a "it\'s; \\" b"; c', ['a "it\'s; \\" b"', "c"]),
        ("mysql", "a # it's; b\n; c", ["a # it's; b", "c"]),
        ("mysql", "a 5--3; b -- it's;\n; c", ["a 5--3", "b -- it's;", "c"]),
        ("mysql", "a $$; b", ["a $$", "b"]),
    ],
)
def test_statements_in_each_spelling(lexis: Lexis, script: str, expected: list[str]) -> None:
    assert split_statements(script, lexis) == expected


def test_a_comment_at_the_end_of_a_mysql_query() -> None:
    assert as_subquery("SELECT 'it\\'s # no' # it's the end;", "mysql") == "SELECT 'it\\'s # no'"
