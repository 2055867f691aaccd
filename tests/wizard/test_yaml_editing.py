"""Adding to files that people wrote: their comments and layout stay, and the result says what was meant."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path

import pytest
import yaml

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Connection, Group
from pipekit_engine.wizard.yaml_editing import add_member, add_record
from tests.wizard.yaml_files import FILES

FILE = Path("groups.yaml")
GROUP = Group(name="new", layers=(("a",), ("b", "c")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "groups:\n  old: {members: [x]}   # mine\n",
        "groups:\n    old:\n        members:\n            - x\n            # last of the list\n\n# of the schedules\n"
        "schedules:\n  s: {group: old, cron: '0 2 * * *'}\n",
        "modules:\n  x:\n    query: |\n      SELECT 1\n\n      FROM t\n",
        "groups:\n  old: {members: [x]}",
    ],
)
def test_a_record_is_added_and_nothing_else_changes(text: str) -> None:
    new = add_record(FILE, text, "groups", "new", GROUP)
    old = yaml.safe_load(text) or {}
    expected = {**old, "groups": {**old.get("groups", {}), "new": {"members": ["a", ["b", "c"]]}}}
    assert yaml.safe_load(new) == expected
    for line in text.splitlines():
        assert line in new.splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("groups: {g: {members: [a, b]}}\n", "groups: {g: {members: [a, b, c]}}\n"),
        ("groups:\n  g:\n    members: [a, [b]]  # two\n", "groups:\n  g:\n    members: [a, [b], c]  # two\n"),
        (
            "groups:\n  g:\n    members:\n    - a   # first\n    - b   # last\n  h: {members: [a]}\n",
            "groups:\n  g:\n    members:\n    - a   # first\n    - b   # last\n    - c\n  h: {members: [a]}\n",
        ),
        (
            "groups:\n  g:\n    members:\n      - a\n      - [b, x]",
            "groups:\n  g:\n    members:\n      - a\n      - [b, x]\n      - c\n",
        ),
        (
            "groups:\n  g:\n    members: [\n      a,\n      b\n    ]\n",
            "groups:\n  g:\n    members: [\n      a,\n      b, c\n    ]\n",
        ),
    ],
)
def test_a_member_is_added_at_the_end(before: str, after: str) -> None:
    assert add_member(FILE, before, "g", "c") == after


@pytest.mark.parametrize(
    "text",
    [
        "groups: {old: {members: [x]}}\n",
        "groups:\n  old: {members: [x]}\n---\ngroups:\n  other: {members: [y]}\n",
        "groups: &all\n  old: {members: [x]}\nx-copy: *all\n",
    ],
)
def test_what_cannot_be_added_to_safely_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"groups\.yaml is written in a way .*by hand") as refused:
        add_record(FILE, text, "groups", "new", GROUP)
    assert "members: [a, [b, c]]" in str(refused.value)


def test_a_member_that_yaml_would_read_as_something_else_is_quoted() -> None:
    new = add_member(FILE, "groups:\n  g: {members: [a]}\n", "g", "1e5")
    assert yaml.safe_load(new)["groups"]["g"]["members"] == ["a", "1e5"]


def test_a_file_without_an_end_of_line_is_added_to() -> None:
    record = Connection(name="c", driver="sqlite", jdbc_url="jdbc:sqlite:x")
    new = add_record(
        FILE, "connections:\n  b: {driver: sqlite, jdbc_url: 'jdbc:sqlite:y'}  # b", "connections", "c", record
    )
    assert list(yaml.safe_load(new)["connections"]) == ["b", "c"]
    assert "# b\n" in new


def _lines_that_went(old: str, new: str) -> list[str]:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    changes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [line for tag, start, end, *_ in changes if tag in ("replace", "delete") for line in before[start:end]]


@pytest.mark.parametrize("name", FILES)
def test_a_record_leaves_every_line_of_the_file(name: str) -> None:
    text = FILES[name]
    new = add_record(FILE, text, "groups", "new", GROUP)
    assert yaml.safe_load(new)["groups"]["new"] == {"members": ["a", ["b", "c"]]}
    went = _lines_that_went(text, new)
    assert went in ([], [text.splitlines()[-1]])  # that line had no end
    assert ("\r\n" in text) == ("\r\n" in new)
    assert "\r\n" not in text or "\n" not in new.replace("\r\n", "")


@pytest.mark.parametrize("group", ["a", "b", "g", "h"])
@pytest.mark.parametrize("name", FILES)
def test_a_member_changes_one_line_at_most(name: str, group: str) -> None:
    text = FILES[name]
    members = (yaml.safe_load(text).get("groups") or {}).get(group, {}).get("members")
    if members is None:
        pytest.skip("no such group in this file")
    new = add_member(FILE, text, group, "added")
    assert yaml.safe_load(new)["groups"][group]["members"] == [*members, "added"]
    assert len(_lines_that_went(text, new)) <= 1
    assert "\r\n" not in text or "\n" not in new.replace("\r\n", "")
