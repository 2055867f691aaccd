"""The SQL around a load, statement by statement: what it does to which table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipekit_engine.sql.text import spans, split_statements
from pipekit_engine.sql.tokens import tokens
from pipekit_import.values import Spot

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax

Kind = Literal["clear", "delete_keys", "delete_range", "insert", "merge", "update", "housekeeping", "noise", "other"]


@dataclass(frozen=True)
class Statement:
    """A statement and what it does.

    - `clear` empties `table`;
    - `delete_keys` deletes what `other` has by `keys`; `delete_range` deletes from a value of `keys[0]` on;
    - `insert` copies from `other` (`conflict`: what it does about existing keys);
    - `merge` and `update` bring `other` in by `keys`;
    - `housekeeping` creates, drops or indexes `table`; `noise` does nothing that a sync needs.
    """

    kind: Kind
    text: str
    spot: Spot
    table: str = ""
    other: str = ""
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    #: insert: the plain columns that it copies; None when it computes any of them; empty for `*`.
    sources: tuple[str, ...] | None = ()
    conflict: Literal["", "update", "nothing"] = ""
    only_new: bool = False
    #: Why the statement cannot be carried over as it is; empty when it can.
    problem: str = ""
    #: `dedupe: latest by` this column.
    latest_by: str = ""


_ID = r"[\w$#@.\"`\[\]]+"
_ALIAS = r"(?:\s+(?:as\s+)?(?!(?:where|using|set|on|join|inner|left|when|from|select)\b)(\w+))?"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("ID", _ID).replace("ALIAS", _ALIAS), re.IGNORECASE | re.DOTALL)


_TRUNCATE = _pattern(r"truncate\s+(?:table\s+)?(?:only\s+)?(ID)(?:\s+(?:restart|continue)\s+identity)?(?:\s+cascade)?")
_DELETE_ALL = _pattern(r"delete\s+from\s+(ID)(?:\s+where\s+(?:1\s*=\s*1|true))?")
_DELETE_IN = _pattern(
    r"delete\s+from\s+(ID)ALIAS\s+where\s+\(?\s*([\w.,\s\"`]+?)\s*\)?\s+in\s*\(\s*select\s+(?:distinct\s+)?"
    r"([\w.,\s\"`]+?)\s+from\s+(ID)ALIAS\s*\)"
)
_DELETE_USING = _pattern(r"delete\s+from\s+(ID)ALIAS\s+using\s+(ID)ALIAS\s+where\s+(.+)")
_DELETE_JOIN = _pattern(
    r"delete\s+(\w+)\s+from\s+(ID)ALIAS\s+(?:inner\s+)?join\s+(ID)ALIAS\s+(?:on\s+(.+)|using\s*\(([^)]*)\))"
)
_DELETE_EXISTS = _pattern(
    r"delete\s+from\s+(ID)ALIAS\s+where\s+exists\s*\(\s*select\s+.+?\s+from\s+(ID)ALIAS\s+where\s+(.+)\)"
)
_DELETE_RANGE = _pattern(r"delete\s+from\s+(ID)ALIAS\s+where\s+([\w.\"`]+)\s*(>=|>|=|between)\s*(.+)")
_INSERT = _pattern(r"(insert|replace)\s+into\s+(ID)\s*(?:\(([^()]*)\))?\s*(select\b.+)")
_CONFLICT = _pattern(r"\s+on\s+conflict\s*(?:\(([^)]*)\)|on\s+constraint\s+\S+)?\s*do\s+(nothing|update\s+set\s.+)")
_DUPLICATE = _pattern(r"\s+on\s+duplicate\s+key\s+update\s.+")
_FROM = _pattern(r"\sfrom\s+(ID)ALIAS(.*)")
_MERGE = _pattern(r"merge\s+into\s+(ID)ALIAS\s+using\s+(ID)ALIAS\s+on\s+\(?(.+?)\)?\s+when\s.+")
_UPDATE = _pattern(r"update\s+(ID)ALIAS\s+set\s+.+?\s+from\s+(ID)ALIAS\s+where\s+(.+)")
_HOUSEKEEPING = _pattern(
    r"(?:create|drop|alter)\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*table\s+"
    r"(?:if\s+(?:not\s+)?exists\s+)?(ID).*"
)
_NOISE = _pattern(
    r"(?:begin|start\s+transaction|commit|end|rollback|set|reset|lock|use|show|savepoint|select\s+(?:now|count|current))\b.*"
)
_DISTINCT_ON = _pattern(r"select\s+distinct\s+on\s*\(([^)]*)\)")
_ORDER_LATEST = _pattern(r"\s+order\s+by\s+.+?,\s*([\w.\"`]+)\s+desc(?:\s+nulls\s+last)?\s*")


def bare(name: str) -> str:
    """A name without quotes and without what stands before the last dot."""
    return name.strip().rsplit(".", 1)[-1].strip('"`[] ')


def same_table(one: str, other: str) -> bool:
    """Whether two names mean one table: a schema counts only where both give it."""
    first, second = (name.replace('"', "").replace("`", "").lower().split(".") for name in (one, other))
    length = min(len(first), len(second))
    return bool(one and other) and first[-length:] == second[-length:]


def read_statements(sql: str, spot: Spot, syntax: SqlSyntax) -> list[Statement]:
    """The statements of a text, psql's own commands left out."""
    kept = "\n".join("" if re.match(r"\s*(?:\\|\.[a-z])", line) else line for line in sql.split("\n"))
    found: list[Statement] = []
    position = 0
    for text in split_statements(kept, syntax):
        start = kept.find(text, position)
        position = start + len(text)
        code = "".join(" " if span.kind == "comment" else span.text for span in spans(text, syntax))
        lead = len(text) - len(text.lstrip())
        leading = next((m.start() for m in re.finditer(r"\S", _blank_comments(text, syntax))), lead)
        line = spot.line + kept.count("\n", 0, start + leading)
        found.append(_read(re.sub(r"\s+", " ", code).strip(), text, Spot(spot.file, line), syntax))
    return found


def uncommented(text: str, syntax: SqlSyntax) -> str:
    """A statement without the comments and blanks before it."""
    return _blank_comments(text, syntax).lstrip()


def _blank_comments(text: str, syntax: SqlSyntax) -> str:
    return "".join(
        re.sub(r"[^\n]", " ", span.text) if span.kind == "comment" else span.text for span in spans(text, syntax)
    )


def _read(code: str, text: str, spot: Spot, syntax: SqlSyntax) -> Statement:
    if match := (_TRUNCATE.fullmatch(code) or _DELETE_ALL.fullmatch(code)):
        return Statement("clear", text, spot, match[1])
    if code.lower().startswith("delete"):
        return _read_delete(code, text, spot)
    if match := _INSERT.fullmatch(code):
        return _read_insert(match, text, spot, syntax)
    if match := _MERGE.fullmatch(code):
        return _by_keys("merge", text, spot, match[1], match[3], match[5])
    if match := _UPDATE.fullmatch(code):
        return _by_keys("update", text, spot, match[1], match[3], match[5])
    if match := _HOUSEKEEPING.fullmatch(code):
        return Statement("housekeeping", text, spot, match[1])
    if _NOISE.fullmatch(code):
        return Statement("noise", text, spot)
    return Statement("other", text, spot)


def _read_delete(code: str, text: str, spot: Spot) -> Statement:
    if match := _DELETE_IN.fullmatch(code):
        keys = tuple(bare(name) for name in match[3].split(","))
        selected = tuple(bare(name) for name in match[4].split(","))
        problem = "" if [k.lower() for k in keys] == [k.lower() for k in selected] else "its key has two names"
        return Statement("delete_keys", text, spot, match[1], match[5], keys, problem=problem)
    if match := _DELETE_USING.fullmatch(code):
        return _by_keys("delete_keys", text, spot, match[1], match[3], match[5])
    if match := _DELETE_JOIN.fullmatch(code):
        if match[7]:
            keys = tuple(bare(name) for name in match[7].split(","))
            return Statement("delete_keys", text, spot, match[2], match[4], keys)
        return _by_keys("delete_keys", text, spot, match[2], match[4], match[6])
    if match := _DELETE_EXISTS.fullmatch(code):
        return _by_keys("delete_keys", text, spot, match[1], match[3], match[5])
    if match := _DELETE_RANGE.fullmatch(code):
        rest = (
            re.sub(r"\bbetween\b.+?\band\b", "", match[5], count=1, flags=re.IGNORECASE)
            if match[4] == "between"
            else match[5]
        )
        problem = (
            "" if not re.search(r"\b(?:and|or)\b", rest, re.IGNORECASE) else "it deletes by more than one condition"
        )
        inner = re.search(rf"\bfrom\s+({_ID})", match[5], re.IGNORECASE)
        other = inner[1] if inner else ""
        return Statement("delete_range", text, spot, match[1], other, (bare(match[3]),), problem=problem)
    table = re.match(rf"delete\s+from\s+({_ID})", code, re.IGNORECASE)
    return Statement(
        "other", text, spot, table[1] if table else "", problem="it deletes in a way that no strategy does"
    )


def _by_keys(kind: Kind, text: str, spot: Spot, table: str, other: str, condition: str) -> Statement:
    """A statement whose condition says by which columns two tables are matched."""
    keys: list[str] = []
    problem = ""
    for term in re.split(r"\s+and\s+", condition.strip(), flags=re.IGNORECASE):
        match = re.fullmatch(r"\(?\s*([\w.\"`]+)\s*=\s*([\w.\"`]+)\s*\)?", term.strip())
        if match and bare(match[1]).lower() == bare(match[2]).lower():
            keys.append(bare(match[1]))
        else:
            problem = f"it matches by {term.strip()}"
    return Statement(kind, text, spot, table, other, tuple(keys), problem=problem)


def _read_insert(match: re.Match[str], text: str, spot: Spot, syntax: SqlSyntax) -> Statement:
    select = match[4]
    conflict: Literal["", "update", "nothing"] = ""
    keys: tuple[str, ...] = ()
    if on_conflict := _CONFLICT.search(select):
        conflict = "nothing" if on_conflict[2].lower() == "nothing" else "update"
        keys = tuple(bare(name) for name in (on_conflict[1] or "").split(",") if name.strip())
        select = select[: on_conflict.start()]
    elif duplicate := _DUPLICATE.search(select):
        conflict = "update"
        select = select[: duplicate.start()]
    elif match[1].lower() == "replace":
        conflict = "update"
    latest = ""
    distinct_on = _DISTINCT_ON.match(select)
    order = _ORDER_LATEST.search(select)
    if distinct_on and order:
        latest = bare(order[1])
        select = select[: order.start()]
    origin = _FROM.search(select)
    other, rest = (origin[1], origin[3].strip()) if origin else ("", "")
    only_new = (
        re.match(r"(?:where\s+not\s+exists\b|where\s+\(?[\w.,\s]+\)?\s+not\s+in\b)", rest, re.IGNORECASE) is not None
    )
    joined_new = re.match(r"left\s+(?:outer\s+)?join\b.+\bis\s+null", rest, re.IGNORECASE) is not None
    problem = ""
    if not other:
        problem = "it inserts what it does not read from a table"
    elif rest and not only_new and not joined_new:
        problem = f"it changes rows on the way ({rest[:60]}): move that into the source query"
    columns = tuple(bare(name) for name in (match[3] or "").split(",") if name.strip())
    return Statement(
        "insert",
        text,
        spot,
        match[2],
        other,
        keys,
        columns,
        _sources(select, syntax),
        conflict,
        only_new or joined_new,
        problem,
        latest,
    )


def _sources(select: str, syntax: SqlSyntax) -> tuple[str, ...] | None:
    """The columns of a select list that has nothing but columns."""
    body = re.match(
        r"select\s+(?:all\s+|distinct\s+on\s*\([^)]*\)\s*|distinct\s+)?(.*)", select, re.IGNORECASE | re.DOTALL
    )
    items: list[list[str]] = [[]]
    for token in tokens(body[1] if body else "", syntax):
        if token.depth == 0 and token.is_word("FROM"):
            break
        if token.depth == 0 and token.text == ",":
            items.append([])
        else:
            items[-1].append(f'"{token.text}"' if token.kind == "name" else token.text)
    names = []
    for item in items:
        text = "".join(item)
        if re.fullmatch(r"(?:[\w$#@\"]+\.)?\*", text) and len(items) == 1:
            return ()
        if not re.fullmatch(r"[^\W\d][\w$#@]*(?:\.[\w$#@]+)*|(?:\"[^\"]+\"|\w+)(?:\.(?:\"[^\"]+\"|\w+))*", text):
            return None
        names.append(bare(text))
    return tuple(names)
