"""What jrunner knows of a kind of database stands in jrunner.kinds and nowhere else: read from its sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "jrunner" / "src" / "jrunner"
KINDS = SOURCES / "kinds"

#: Literals outside of the kinds that name one, by file, with the reason.
ALLOWED = {
    # Passwords are redacted in any message, whether or not a connection, and with it a kind, is known.
    "Redaction.java": [r"(?i)(jdbc:oracle:\\w+:)[^@/\\s]+/[^\\s]*@(?=[^@\\s]*)"],
    # The manual of the flags, with examples of URLs.
    "flags/Flags.java": [
        "  -scu URL       JDBC URL, such as jdbc:postgresql://host:5432/db or jdbc:sqlite:file.db",
    ],
    # Advice for a query, where a number shall become a date: only there does it come to that.
    "types/Convert.java": [": convert it in the query, e.g. datetime(x, 'unixepoch') in SQLite"],
    # The path `copy-raw` of the protocol is one of PostgreSQL alone, and is refused by every other kind.
    "transfer/Transfer.java": ["copy-raw needs PostgreSQL on both sides"],
}

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/', re.DOTALL)


def registry() -> list[str]:
    """The class names in the registry's lines."""
    return re.findall(r'^        \{"(\w+)"', (KINDS / "Kinds.java").read_text("utf-8"), re.MULTILINE)


def literals(source: str) -> list[str]:
    """The string literals of a Java source, comments left out."""
    return [token[1:-1] for token in _TOKEN.findall(source) if token.startswith('"')]


def without_comments(source: str) -> str:
    """A Java source without comments and without what stands in quotes."""
    return _TOKEN.sub(lambda found: " " if found.group().startswith("/") else '""', source)


def outside() -> list[Path]:
    """The Java sources outside of the package of kinds."""
    return [path for path in sorted(SOURCES.rglob("*.java")) if path.parent != KINDS]


def test_the_registry_names_every_kind_once() -> None:
    classes = [
        path.stem
        for path in KINDS.glob("*.java")
        if re.search(r"^public final class \w+ extends (Kind|\w+Base) \{", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(registry()) == sorted(classes)


def test_no_literal_outside_of_the_kinds_names_one() -> None:
    # Names of drivers' packages tell a kind as well.
    names = [name.lower() for name in registry()] + ["com.mysql", "org.sqlite", "com.microsoft", "com.ibm", "jtds"]
    word = re.compile(r"(?<![a-z0-9])(" + "|".join(re.escape(name) for name in names) + r")(?![a-z0-9])", re.IGNORECASE)
    found = {
        path.relative_to(SOURCES).as_posix(): [text for text in literals(path.read_text("utf-8")) if word.search(text)]
        for path in outside()
    }
    assert {file: texts for file, texts in found.items() if texts} == ALLOWED


def test_nobody_asks_which_kind_a_database_is_of() -> None:
    """No class of a kind is named outside of the package, and ids are for messages: nobody compares them."""
    named = re.compile(r"\b(" + "|".join(registry()) + r")\b")
    compared = re.compile(
        r"\bid\(\)\s*(\.equals|[!=]=)|\.equals\([^;]*\bid\(\)\)|\bKind\.[A-Z]|switch \([^{]*\b(kind|id)\(\)"
    )
    questions = []
    for path in sorted(SOURCES.rglob("*.java")):
        code = without_comments(path.read_text("utf-8"))
        found = compared.findall(code) or (path.parent != KINDS and named.findall(code))
        if found:
            questions.append(path.relative_to(SOURCES).as_posix())
    assert questions == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('case "sqlite": // "h2"', ["sqlite"]),
        ('/* "derby" */ char c = \'"\'; String s = "a\\"b";', ['a\\"b']),
    ],
)
def test_literals_are_told_from_comments(source: str, expected: list[str]) -> None:
    assert literals(source) == expected
