"""Changes one record inside a YAML text and leaves every other byte of it as it is: comments, order, quotes, line breaks.

The text is cut at the marks that the parser gives to each value. What was made is read back: the record must be the one that
was wanted, and all others as before. So whatever these cuts do not understand (an anchor that several records share, say) is a
CannotEdit and never a file that says something else.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import yaml

from pipekit_engine.definitions.export import dump_in_line, dump_pair, to_yaml, written_form, yaml_form
from pipekit_engine.definitions.load import Loaded, read_text
from pipekit_engine.definitions.yaml_nodes import is_merge
from pipekit_engine.models import DefinitionKind, Definitions, NamedRecord, record_label

_COMMENT = re.compile(r"(?:^|\s)(#[^\r\n]*)")
_ALIAS = re.compile(r"[ \t]*\*[^\s,\]}]+")


class CannotEdit(Exception):
    """The text cannot be changed without losing something; says why."""


def edited(
    written: bytes, kind: DefinitionKind, name: str, *, before: NamedRecord | None, after: NamedRecord | None
) -> bytes:
    """The file's text with one record changed, put in (`before` is None) or taken out (`after` is None).

    Raises CannotEdit, also where the text holds something else than `before`.
    """
    loaded = _read(written)
    present = loaded.definitions.of_kind(kind).get(name)
    if present != before:
        raise CannotEdit(
            f"{record_label(kind, name)} was edited there by hand since it was applied, and says something else"
        )
    try:
        text = written.decode("utf-8-sig")
        document = _Text(text)
        document.change(kind, name, before, after)
        found = document.result().encode()
    except (ValueError, IndexError, yaml.YAMLError) as error:
        raise CannotEdit(f"its layout is not understood ({error})") from None
    if written.startswith(codecs.BOM_UTF8):
        found = codecs.BOM_UTF8 + found
    _check(loaded, found, kind, name, after)
    return found


def new_text(kind: DefinitionKind, record: NamedRecord) -> bytes:
    """The text of a file that holds one record."""
    only: dict[str, Any] = {kind: {record.name: record}}
    return to_yaml(Definitions.model_construct(None, **only), [kind]).encode()


def _read(written: bytes) -> Loaded:
    loaded = read_text("", written)
    if loaded.errors:
        raise CannotEdit(f"the file has a problem of its own{loaded.errors[0]}")
    return loaded


def _check(loaded: Loaded, found: bytes, kind: DefinitionKind, name: str, after: NamedRecord | None) -> None:
    """See that the new text says what is wanted, and nothing else anew."""
    try:
        again = _read(found)
    except CannotEdit:
        raise CannotEdit("its layout cannot take the change") from None
    wanted = dict(loaded.definitions.of_kind(kind))
    wanted.pop(name, None)
    if after is not None:
        wanted[name] = after
    others = loaded.definitions.model_copy(update={kind: wanted})
    if again.definitions != others:
        shared = again.definitions.of_kind(kind).get(name) == after
        raise CannotEdit(
            "other records take the value from there, too (an anchor)"
            if shared
            else "its layout cannot take the change"
        )


@dataclass
class _Text:
    """A text and the cuts to be made in it."""

    text: str
    cuts: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.newline = "\r\n" if "\r\n" in self.text else "\n"

    def result(self) -> str:
        """The text with all cuts made."""
        text = self.text
        for start, end, new in sorted(self.cuts, reverse=True):
            text = text[:start] + new.replace("\n", self.newline) + text[end:]
        return text

    def change(self, kind: DefinitionKind, name: str, before: NamedRecord | None, after: NamedRecord | None) -> None:
        """Note the cuts of one record's change."""
        documents = [node for node in yaml.compose_all(self.text, Loader=yaml.SafeLoader) if node is not None]
        sections = [
            pair for node in documents for pair in getattr(node, "value", ()) if getattr(pair[0], "value", "") == kind
        ]
        for _, section in sections:
            pairs = section.value if isinstance(section, yaml.MappingNode) else []
            for at, (key, value) in enumerate(pairs):
                if key.value != name or before is None:
                    continue
                if after is None:
                    self._remove(section, at, with_comment=True)
                elif isinstance(value, yaml.MappingNode):
                    self._change_mapping(value, yaml_form(before), written_form(after))
                return
        if after is None:
            raise ValueError("the record is not where it was")
        form = written_form(after)
        for _, section in sections:
            if isinstance(section, yaml.MappingNode) and section.value:
                self._add(section, name, form)
                return
        end = len(self.text)
        lead = "" if not self.text.strip() or self.text.endswith("\n") else "\n"
        self.cuts.append((end, end, lead + ("\n" if self.text.strip() else "") + dump_pair(kind, {name: form})))

    def _change_mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Cut a mapping's fields to what they become. A field that the text spells out though it is the default stays."""
        own = {key.value: at for at, (key, _) in enumerate(node.value) if not is_merge(key)}
        for word, at in own.items():
            key, value = node.value[at]
            if word in new:
                if old.get(word) != new[word]:
                    self._change_value(node, key, value, old.get(word), new[word])
            elif word in old:
                self._remove(node, at)
        for word, value in new.items():
            if word not in own and old.get(word) != value:
                self._add(node, word, value)

    def _change_value(self, parent: yaml.MappingNode, key: yaml.Node, value: yaml.Node, old: Any, new: Any) -> None:
        if isinstance(value, yaml.MappingNode) and isinstance(old, dict) and isinstance(new, dict) and new:
            self._change_mapping(value, old, new)
            return
        if (
            isinstance(value, yaml.SequenceNode)
            and not value.flow_style
            and isinstance(old, list)
            and isinstance(new, list)
            and new
            and len(old) == len(value.value)
        ):
            self._change_items(value, old, new)
            return
        colon = self.text.index(":", key.end_mark.index)
        start, end = colon + 1, self._end_of_pair(key, value)
        if "#" in self.text[start:end] and isinstance(value, yaml.SequenceNode) and value.flow_style:
            raise ValueError("a list with comments in it")
        if parent.flow_style:
            self.cuts.append((start, end, f" {dump_in_line(new)}"))
            return
        body = self._body(value, new, key.start_mark.column)
        remark = self._remark(value, start)
        if remark:
            first, newline, rest = body.partition("\n")
            body = f"{first}  {remark}{newline}{rest}"
        self.cuts.append((start, end, body))

    def _body(self, value: yaml.Node, new: Any, column: int) -> str:
        """What stands after `key:`, in the quotes that stood there."""
        style = value.style if isinstance(value, yaml.ScalarNode) else None
        if isinstance(new, str) and "\n" not in new and new.isprintable():
            if style == '"':
                return f" {json.dumps(new, ensure_ascii=False)}"
            if style == "'":
                return " '" + new.replace("'", "''") + "'"
        return _indented(dump_pair("k", new).removeprefix("k:"), column)

    def _remark(self, value: yaml.Node, start: int) -> str:
        """The comment beside a value that goes on in the next lines."""
        is_block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
        if not is_block and not (isinstance(value, yaml.CollectionNode) and not value.flow_style):
            return ""
        found = _COMMENT.search(self.text[start : self._line_end(start)])
        return found[1] if found else ""

    def _change_items(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> None:
        """Cut a list of one line an item: what stays is not touched."""
        before, after = [repr(item) for item in old], [repr(item) for item in new]
        column = node.start_mark.column
        for action, low, high, new_low, new_high in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if action == "equal":
                continue
            pairs = list(zip(node.value[low:high], old[low:high], new[new_low:new_high], strict=False))
            if high - low == new_high - new_low and all(
                isinstance(item, yaml.MappingNode) and isinstance(one, dict) and isinstance(other, dict)
                for item, one, other in pairs
            ):
                for item, one, other in pairs:
                    self._change_mapping(item, one, other)
                continue
            lines = "".join(
                f"{' ' * column}- {_indented(dump_in_line(item) if not isinstance(item, dict) else _items(item), column + 2)}\n"
                for item in new[new_low:new_high]
            )
            # Whole lines: from the end of the item before, or where the list begins, to the end of the last one.
            begin = self._line_start(node.value[low].start_mark.index) if low < len(node.value) else -1
            if begin < 0:
                begin = self._line_end(self._end(node.value[-1]))
                self.cuts.append((begin, begin, "\n" + lines.rstrip("\n")))
                continue
            stop = begin
            if high > low:
                stop = self._next_line(self._line_end(self._end(node.value[high - 1])))
                if stop == len(self.text) and not self.text.endswith("\n"):
                    lines = lines.removesuffix("\n")
            self.cuts.append((begin, stop, lines))

    def _add(self, node: yaml.MappingNode, word: str, value: Any) -> None:
        """Put a field, or a record, behind the last one of a mapping."""
        if not node.value:
            raise ValueError("an empty mapping")
        key, last = node.value[-1]
        end = self._end_of_pair(key, last)
        if node.flow_style:
            self.cuts.append((end, end, f", {dump_in_line({word: value})[1:-1]}"))
            return
        column = node.value[0][0].start_mark.column
        place = self._line_end(end)
        apart = "\n" if len(node.value) > 1 and self._stand_apart(node) else ""
        self.cuts.append((place, place, f"{apart}\n{' ' * column}{_indented(dump_pair(word, value), column)}"))

    def _stand_apart(self, node: yaml.MappingNode) -> bool:
        """Whether a blank line stands before the last entry of a mapping."""
        between = self.text[self._end_of_pair(*node.value[-2]) : node.value[-1][0].start_mark.index]
        return re.search(r"\n[ \t]*\r?\n", between) is not None

    def _remove(self, node: yaml.MappingNode, at: int, *, with_comment: bool = False) -> None:
        """Take an entry out of a mapping; in a block its whole lines, with the comment right above it if asked for."""
        key, value = node.value[at]
        start, end = key.start_mark.index, self._end_of_pair(key, value)
        if node.flow_style:
            if at:
                start = self._end_of_pair(*node.value[at - 1])
            elif len(node.value) > 1:
                end = node.value[1][0].start_mark.index
            self.cuts.append((start, end, ""))
            return
        line = self._line_start(start)
        if self.text[line:start].strip():
            raise ValueError("a field beside its dash")
        while with_comment and line:
            above = self._line_start(line - 1)
            if not re.match(rf" {{{key.start_mark.column}}}#", self.text[above:line]):
                break
            line = above
        self.cuts.append((line, self._next_line(self._line_end(end)), ""))

    def _end_of_pair(self, key: yaml.Node, value: yaml.Node) -> int:
        """Where the text of `key: value` ends."""
        if value.start_mark.index < key.end_mark.index:  # an alias: the value stands where its anchor is
            colon = self.text.index(":", key.end_mark.index)
            found = _ALIAS.match(self.text, colon + 1)
            if found is None:
                raise ValueError("an alias")
            return found.end()
        return self._end(value)

    def _end(self, node: yaml.Node) -> int:
        """Where a value's text ends; the parser's marks of blocks lie behind the comments that follow them."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end_of_pair(*last) if isinstance(last, tuple) else self._end(last)
        end = int(node.end_mark.index)
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            return int(node.start_mark.index) + len(self.text[node.start_mark.index : end].rstrip("\r\n "))
        return end

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        """The end of a line's text, before its break."""
        found = self.text.find("\n", at)
        end = len(self.text) if found < 0 else found
        return end - 1 if end > at and self.text[end - 1] == "\r" else end

    def _next_line(self, at: int) -> int:
        found = self.text.find("\n", at)
        return len(self.text) if found < 0 else found + 1


def _items(item: dict[str, Any]) -> str:
    return "\n".join(dump_pair(word, value) for word, value in item.items())


def _indented(text: str, column: int) -> str:
    """The text with all lines but the first moved to the right, and without its last break."""
    first, *rest = text.removesuffix("\n").split("\n")
    return "\n".join([first, *(f"{' ' * column}{line}" if line.strip() else line for line in rest)])
