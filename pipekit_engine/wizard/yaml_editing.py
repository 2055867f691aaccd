"""Adds to YAML texts that people wrote, without touching anything else in them.

The text is parsed to find the place, changed there as text, and parsed again: it must then say what it said before and the
new thing, or it is refused with what to add by hand. All other lines stay byte for byte, and a new line ends as the file's
lines end. (ruamel.yaml's round trip rewrites indentation, flow collections over several lines, line ends and more.)
"""

from __future__ import annotations

import textwrap
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import yaml

from pipekit_engine.common.yaml_limits import TooMuchYaml, check_size
from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Definitions

if TYPE_CHECKING:
    from pathlib import Path

    from pipekit_engine.models import DefinitionKind, Record


def add_record(path: Path, text: str, kind: DefinitionKind, name: str, record: Record) -> str:
    """The text with one more record. Raises ConfigurationError for a text that cannot be added to."""
    block = to_yaml(Definitions.model_construct(None, **{kind: {name: record}}), [kind])  # type: ignore[arg-type]
    if not text.strip():
        return block
    old = _parsed(text)
    body = block.split("\n", 1)[1]
    expected = deepcopy(old) if isinstance(old, dict) else {}
    expected[kind] = {**(expected.get(kind) or {}), **yaml.safe_load(block)[kind]}
    new = None
    end = _line_end(text)
    mapping = _value(_composed(text), kind)
    if mapping is None:
        new = _ended(text) + end + block.replace("\n", end)
    elif isinstance(mapping, yaml.MappingNode) and mapping.value and not mapping.flow_style:
        place = _end_of_line(text, _last(mapping).end_mark.index)
        column = mapping.value[0][0].start_mark.column
        new = (
            _ended(text[:place])
            + textwrap.indent(textwrap.dedent(body), " " * column).replace("\n", end)
            + _after_line_end(text[place:])
        )
    return _verified(path, new, expected, block)


def add_member(path: Path, text: str, group: str, member: str) -> str:
    """The text with one more member at the end of a group. Raises ConfigurationError for a text that cannot be added to."""
    expected = deepcopy(_parsed(text))
    advice = f"groups: {group}: members: add {member}\n"
    node = _value(_value(_value(_composed(text), "groups"), group), "members")
    if not isinstance(node, yaml.SequenceNode) or not isinstance(expected, dict):
        raise _by_hand(path, advice)
    expected["groups"][group]["members"].append(member)
    new = None
    shown = yaml.safe_dump(member, default_flow_style=True).removesuffix("...\n").strip()
    if node.flow_style and node.value:
        place = node.value[-1].end_mark.index
        new = f"{text[:place]}, {shown}{text[place:]}"
    elif node.value:
        start = node.value[0].start_mark
        line = text[text.rfind("\n", 0, start.index) + 1 :]
        indent = line[: line.index("-")]
        place = _end_of_line(text, _last(node).end_mark.index)
        new = f"{_ended(text[:place])}{indent}- {shown}{_line_end(text)}{_after_line_end(text[place:])}"
    return _verified(path, new, expected, advice)


def _verified(path: Path, new: str | None, expected: Any, advice: str) -> str:
    if new is None or _parsed(new) != expected:
        raise _by_hand(path, advice)
    return new


def _by_hand(path: Path, advice: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is written in a way that cannot be added to safely. Add this to it by hand, or choose another --output:\n"
        f"{advice}"
    )


def _parsed(text: str) -> Any:
    try:
        check_size(text)
        return yaml.safe_load(text)
    except (yaml.YAMLError, TooMuchYaml):
        # Several documents, or not YAML at all: whoever asks finds no place in it.
        return None


def _composed(text: str) -> yaml.Node | None:
    try:
        check_size(text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, TooMuchYaml):
        return None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _last(node: yaml.Node) -> yaml.Node:
    """The last leaf: a block's own end lies beyond the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node


def _end_of_line(text: str, index: int) -> int:
    """Index of the end of the line in which what ends at `index` ends, a comment behind it included."""
    if index and text[index - 1] == "\n":
        return index - (2 if text[:index].endswith("\r\n") else 1)
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[:end].endswith("\r") else end


def _line_end(text: str) -> str:
    """How the lines of the text end."""
    return "\r\n" if "\r\n" in text else "\n"


def _after_line_end(text: str) -> str:
    return text[2:] if text.startswith("\r\n") else text.removeprefix("\n")


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else text + _line_end(text)
