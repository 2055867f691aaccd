"""Bad input that nobody thought of: definitions, the session protocol, the command line. No crash, no hang, a named place."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipekit_engine.definitions.load import load_definitions
from pipekit_engine.errors import DefinitionsError, PipekitError
from tests.cli.conftest import DEFINITIONS, Project
from tests.jrunner.conftest import LineSession

MANY = pytest.mark.all_faults
FEW_EXAMPLES, MANY_EXAMPLES = 40, 2000
#: What YAML, templates, terminals and databases trip over.
TRICKY = [
    "&a", "*a", "<<: *a", "!!python/object/apply:os.system [id]", "? ", "- - -", "{{", "{x}", "|-\n", "\t", "\0", "\x1b[2J",
    "\u202e", "\ud7ff", "é", "'", '"', ": ", "#", "[", "]", "{", "}", "1e999", "0x", "2013-02-30", "~", "---\n", "...\n",
    "%YAML 9\n", "null", "true", "-1", "99999999999999999999", "../../etc/passwd", "$HOME", "${A}", "\r", "\x85", "\ufeff",
]  # fmt: skip
SECONDS = 10


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """A text with some places changed."""
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 0, 1, 3, 20]))
        put = draw(st.one_of(st.sampled_from(TRICKY), st.text(max_size=5), st.just(text[at : at + length] * 2)))
        text = text[:at] + put + text[at + length :]
    return text


def read_damaged(folder: Path, text: str) -> None:
    file = folder / "all.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    began = time.monotonic()
    problems = []
    try:
        load_definitions(file)
    except DefinitionsError as error:
        problems = error.problems
    except PipekitError as error:
        problems = [str(error)]
    assert all(str(file) in problem for problem in problems), problems
    assert time.monotonic() - began < SECONDS


examples = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=FEW_EXAMPLES)
more_examples = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=MANY_EXAMPLES)
yaml_texts = damaged(DEFINITIONS)


@examples
@given(text=yaml_texts)
def test_damaged_definitions(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    read_damaged(tmp_path_factory.getbasetemp(), text)


@MANY
@pytest.mark.timeout(3600)
@more_examples
@given(text=yaml_texts)
def test_many_damaged_definitions(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    read_damaged(tmp_path_factory.getbasetemp(), text)


# The protocol

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(TRICKY)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=8,
)
FIELDS = [
    "connection",
    "sql",
    "statements",
    "url",
    "jars",
    "kind",
    "source",
    "dest",
    "table",
    "columns",
    "path",
    "max_rows",
    "properties",
    "init",
    "confirm",
    "split",
    "what",
    "transaction",
]
OPERATIONS = [
    "open",
    "close",
    "query",
    "execute",
    "migrate",
    "describe",
    "metadata",
    "cancel",
    "ping",
    "quit ",
    "confirm",
]
requests = st.fixed_dictionaries(
    {"op": st.one_of(st.sampled_from(OPERATIONS), json_values), "id": st.one_of(st.integers(1, 5), json_values)},
    optional=dict.fromkeys(FIELDS, json_values),
).map(lambda request: json.dumps(request).encode())
lines = st.one_of(
    requests,
    st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")),
    damaged('{"op": "query", "id": 1, "connection": "c", "sql": "SELECT 1"}').map(
        lambda text: text.encode("utf-8", "replace").replace(b"\n", b" ")
    ),
)


@pytest.fixture(scope="module")
def protocol() -> Iterator[LineSession]:
    running = LineSession()
    yield running
    running.end()


def answer_after(protocol: LineSession, line: bytes, number: int) -> dict[str, Any]:
    """Send a line, then a good request; the answer to that."""
    protocol.send_bytes(line)
    protocol.send(op="query", id=number, connection="not open", sql="SELECT 1")
    while True:
        event = protocol.next()
        if event.get("id") == number:
            return event


@examples
@given(line=lines)
def test_hostile_lines_on_the_protocol(protocol: LineSession, line: bytes) -> None:
    number = 1_000_000 + len(protocol.lines)
    assert answer_after(protocol, line, number)["event"] == "error"
    assert protocol.process.poll() is None


@MANY
@pytest.mark.timeout(3600)
@more_examples
@given(line=lines)
def test_many_hostile_lines_on_the_protocol(protocol: LineSession, line: bytes) -> None:
    number = 1_000_000 + len(protocol.lines)
    assert answer_after(protocol, line, number)["event"] == "error"


# The command line: those commands that neither wait nor serve.

COMMANDS = [
    command.split()
    for command in [
        "run",
        "run-group",
        "cancel",
        "unlock",
        "runs list",
        "runs show",
        "apply",
        "export",
        "schema",
        "lint",
        "modules",
        "groups",
        "schedules",
        "connections list",
        "connections test",
        "connections tables",
        "drivers list",
        "secrets list",
        "backup",
        "restore",
        "doctor",
    ]
]
WORDS = [
    *[
        "items",
        "copy",
        "nope",
        "good",
        "1",
        "0",
        "-1",
        "99999999999999999999",
        "src",
        "dw",
        ".",
        "/dev/null",
        "nope/x",
        "--json",
        "--dry-run",
        "--set",
        "since=1",
        "=",
        "since",
    ],
    *[
        "--limit",
        "--status",
        "--help",
        "-h",
        "--",
        "-",
        "--config",
        "definitions",
        "--prune",
        "--watermark",
        "*",
        "?",
        "%s",
        "{x}",
        "\x1b[2J",
        "é",
    ],
    "",
]
#: No path that leads out of the project.
odd_words = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=6)
arguments = st.tuples(st.sampled_from(COMMANDS), st.lists(st.one_of(st.sampled_from(WORDS), odd_words), max_size=4))
STATUSES = {0, 1, 2, 3, 130}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a store and definitions; each example may change them."""
    project = Project(tmp_path_factory.mktemp("fuzzed"))
    project.write("definitions/all.yaml", DEFINITIONS)
    assert project.look("init").status == 0
    assert project.look("apply", "definitions").status == 0
    return project


def command_ends(project: Project, given_: tuple[list[str], list[str]]) -> None:
    command, words = given_
    done = project.look(*command, *words)
    assert done.status in STATUSES
    assert "Traceback" not in done.out + done.err
    if done.status not in (0, 130):
        assert done.out + done.err, "it failed and said nothing"
    assert not re.search("\x1b\\[2J", done.out + done.err), "an escape sequence of the input reaches the terminal"


@examples
@given(given_=arguments)
def test_odd_arguments(fuzzed: Project, given_: tuple[list[str], list[str]]) -> None:
    command_ends(fuzzed, given_)


@MANY
@pytest.mark.timeout(3600)
@more_examples
@given(given_=arguments)
def test_many_odd_arguments(fuzzed: Project, given_: tuple[list[str], list[str]]) -> None:
    command_ends(fuzzed, given_)
