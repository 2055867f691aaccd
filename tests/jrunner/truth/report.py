"""Writes docs/types.md from the table that the truth suite checks:  python -m tests.jrunner.truth.report > docs/types.md"""

from __future__ import annotations

from tests.jrunner.truth.data import KINDS, NAMES, SHAPES, Shape

HEAD = """# What survives a migration

Made from the table that the tests check against real databases (`tests/jrunner/truth`); not to be edited by hand:
`python -m tests.jrunner.truth.report > docs/types.md`

The rule is one for all pairs: a value arrives exactly, or the migration fails with an error of code `value` that names the
column and the row, and the destination is as it was. Nothing is rounded, cut, or moved to another time zone. NULL arrives as
NULL in every type. Each pair below was tried in both directions with each value, with the JVM's process in a time zone whose
clocks change.

- **exact**: the same value in the same kind of type.
- **wider**: the destination has no such type of its own; the value is held whole in a wider one (named in the second table),
  and comes back exactly.
- **refuses**: held by the source, but not by the destination: an error.
"""


def cell(shape: Shape, source: str, dest: str) -> str:
    """What happens to the shape's values from `source` to `dest`."""
    held = "wider" if dest in shape.wider and source not in shape.wider else "exact"
    refused = [value.shown for value in shape.values if dest in value.lacks and source not in value.lacks]
    return f"{held}; refuses {', '.join(dict.fromkeys(refused))}" if refused else held


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def report() -> str:
    """The whole page."""
    lines = [HEAD, "## The pairs", ""]
    for shape in SHAPES:
        lines += [f"### {shape.name}", ""]
        if shape.note:
            lines += [shape.note, ""]
        lines.append("| from \\ to | " + " | ".join(NAMES[kind] for kind in KINDS) + " |")
        lines.append("|---" * (len(KINDS) + 1) + "|")
        for source in KINDS:
            cells = [_escape(cell(shape, source, dest)) for dest in KINDS]
            lines.append(f"| {NAMES[source]} | " + " | ".join(cells) + " |")
        lines += ["", "Tried with: " + ", ".join(f"`{_plain(value.shown)}`" for value in shape.values), ""]
    lines += ["## The columns that were used", ""]
    lines.append("| type | " + " | ".join(NAMES[kind] for kind in KINDS) + " |")
    lines.append("|---" * (len(KINDS) + 1) + "|")
    for shape in SHAPES:
        types = []
        for kind in KINDS:
            wider = shape.wider.get(kind, "")
            types.append(f"{shape.types[kind]}{f' (holds {wider})' if wider and wider != shape.types[kind] else ''}")
        lines.append(f"| {shape.name} | " + " | ".join(types) + " |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return (
        text if text.isprintable() and len(text) <= 60 and "`" not in text else repr(text[:40])[1:-1].replace("`", "'")
    )


if __name__ == "__main__":
    print(report(), end="")
