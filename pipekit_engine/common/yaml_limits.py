"""Limits of YAML that is read: a file of a few lines may stand for billions of values, or nest until the parser's stack ends."""

from __future__ import annotations

from typing import Any

#: Deeper than any definition or configuration.
MAX_DEPTH = 50
#: Values that aliases may stand for: this many, and as many times the values that are written out.
MAX_ALIASED = 100_000
MAX_REPEATED = 10


class TooMuchYaml(Exception):
    """A text beyond the limits; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        super().__init__(problem)


def check_size(text: str) -> None:
    """Raise TooMuchYaml for a text that is not to be composed. Linear in the text; errors of syntax are left to the parser."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    written = aliased = 0
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    try:
        for event in yaml.parse(text, Loader=loader):
            line = event.start_mark.line + 1 if event.start_mark is not None else 0
            if isinstance(event, yaml.AliasEvent):
                aliased += sizes.get(event.anchor or "", 1)
                if aliased > MAX_ALIASED + MAX_REPEATED * written:
                    raise TooMuchYaml(
                        line,
                        f"its aliases (*{event.anchor}) repeat more than {aliased:,} values; write out less by them",
                    )
            elif isinstance(event, yaml.NodeEvent):
                written += 1
                if isinstance(event, yaml.CollectionStartEvent):
                    open_nodes.append((event.anchor, written + aliased))
                    if len(open_nodes) > MAX_DEPTH:
                        raise TooMuchYaml(line, f"is nested more than {MAX_DEPTH} deep")
                elif event.anchor:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_nodes.pop()
                if anchor:
                    sizes[anchor] = written + aliased - before + 1
    except yaml.YAMLError:
        return
