"""Redaction: no password leaves, in whatever form a program repeats it, and what is no secret stays readable."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipekit_engine.databases.urls import redact_url, url_holds_secret
from pipekit_engine.security.redact import STARS, Redactor

KEPT = [
    "jdbc:postgresql://h:5432/db?user=a&ssl=true",
    "jdbc:postgresql:db",
    "jdbc:postgresql:///db",
    "jdbc:postgresql://[::1]:5432/db",
    "jdbc:postgresql://a:1,b:2/db",
    "jdbc:sqlserver://h\\instance:1433;databaseName=x;encrypt=true",
    "jdbc:oracle:thin:@h:1521:x",
    "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=h)(PORT=1521)))",
    "jdbc:sqlite:/home/me@work/data.db",
    "jdbc:h2:mem:x;MODE=Oracle",
    "jdbc:as400://h;naming=sql;libraries=A,B",
    "jdbc:mysql://address=(host=h)(port=3306)/db",
    "sqlite:////var/lib/pipekit.db",
    "https://example.org/hook",
]

REDACTED = [
    ("jdbc:postgresql://h/db?user=a&password=se;cr&x=y@z", "jdbc:postgresql://h/db?user=a&password=***&x=y@z"),
    ("jdbc:postgresql://u:p@ss@h/db", "jdbc:postgresql://u:***@h/db"),
    (
        "jdbc:sqlserver://h;user=sa;password={a;b}}c};encrypt=true",
        "jdbc:sqlserver://h;user=sa;password=***;encrypt=true",
    ),
    ("jdbc:sqlserver://h;password={a;b", "jdbc:sqlserver://h;password=***"),
    ("jdbc:jtds:sqlserver://h:1433/db;user=x;password=y", "jdbc:jtds:sqlserver://h:1433/db;user=x;password=***"),
    ("jdbc:oracle:thin:scott/ti@ger@//h:1521/s", "jdbc:oracle:thin:scott/***@//h:1521/s"),
    ("jdbc:oracle:thin:@(DESCRIPTION=(HOST=h)(PASSWORD=x))", "jdbc:oracle:thin:@(DESCRIPTION=(HOST=h)(PASSWORD=***))"),
    ("jdbc:mysql://address=(host=h)(user=u)(password=p)/db", "jdbc:mysql://address=(host=h)(user=u)(password=***)/db"),
    ("jdbc:mariadb://h/db?trustStorePassword=x&a=b", "jdbc:mariadb://h/db?trustStorePassword=***&a=b"),
    ("jdbc:h2:mem:x;PASSWORD=abc;CIPHER=AES", "jdbc:h2:mem:x;PASSWORD=***;CIPHER=AES"),
    ("jdbc:db2://h:50000/db:user=u;password=p;", "jdbc:db2://h:50000/db:user=u;password=***;"),
    ("postgresql+psycopg://u:p%40@h:1/d", "postgresql+psycopg://u:***@h:1/d"),
    ("https://example.org/a?token=abc", "https://example.org/a?token=***"),
]

STARRED = [
    "hello",
    "postgresql://u:pa/ss@h/d",
    "postgresql://u:pa?ss@h/d",
    "jdbc:oracle:thin:scott/tiger",
    "jdbc:x:u/p@h",
]


@pytest.mark.parametrize("url", KEPT)
def test_a_url_without_secrets_stays(url: str) -> None:
    assert redact_url(url) == url
    assert not url_holds_secret(url)


@pytest.mark.parametrize(("url", "redacted"), REDACTED)
def test_a_password_in_a_url_is_starred(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted
    assert url_holds_secret(url)
    assert redact_url(redacted) == redacted


@pytest.mark.parametrize("url", STARRED)
def test_a_url_that_is_not_understood_is_stars(url: str) -> None:
    assert redact_url(url) == STARS


@pytest.mark.parametrize(
    "shape",
    [
        "jdbc:postgresql://u:{}@host/db",
        "jdbc:postgresql://host/db?password={}",
        "jdbc:sqlserver://host;password={{{}}}",
        "jdbc:oracle:thin:u/{}@//host/db",
    ],
)
@given(password=st.text(st.characters(codec="utf-8", exclude_characters=";&{}"), min_size=1))
def test_no_password_of_a_known_shape_leaks(shape: str, password: str) -> None:
    marked = f"SECRET{password}SECRET"
    assert "SECRET" not in redact_url(shape.format(marked))


@example(secret="000>")
@given(secret=st.text(st.characters(codec="utf-8"), min_size=4).filter(lambda text: len(text.strip()) >= 4))
def test_every_form_of_a_secret_goes(secret: str) -> None:
    redactor = Redactor([secret])
    for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
        assert redactor.clean(f"<{form}>") == f"<{STARS}>"
    assert redactor.clean("<" + secret.replace("'", "''") + ">") == f"<{STARS}>"


def test_lines_of_a_long_secret_go_too() -> None:
    assert Redactor(["-----BEGIN\nabcdefghijkl\nxy\n"]).clean("abcdefghijkl xy") == f"{STARS} xy"


def test_a_short_secret_goes_only_where_it_stands_alone() -> None:
    assert Redactor(["ab"]).clean("ab cab ab.") == f"{STARS} cab {STARS}."


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redactor(["hunter", "hunter2"]).clean("hunter2 hunter") == f"{STARS} {STARS}"


def test_urls_inside_text_are_cleaned() -> None:
    text = "could not connect (jdbc:postgresql://u:pw@h/db?password=x). See https://example.org/a."
    expected = "could not connect (jdbc:postgresql://u:***@h/db?password=***). See https://example.org/a."
    assert Redactor().clean(text) == expected


def test_text_without_secrets_is_untouched() -> None:
    text = "SELECT '{a}'::jsonb, password = 'x' FROM t -- 100 %\n"
    assert Redactor(["", "  "]).clean(text) == text


def test_pipekits_own_words_stay() -> None:
    """With the password `secret` its report said "pipekit ***s set", which tells both what to do wrongly and the password."""
    clean = Redactor(["secret", "pipekit"]).clean
    assert clean("set it: pipekit secrets set DW (in secrets.env)") == "set it: pipekit secrets set DW (in secrets.env)"
    assert clean("db=pipekit;pw=secret") == "db=***;pw=***"
    assert clean("xpipekit secrets setx") == "x*** ***s setx"
