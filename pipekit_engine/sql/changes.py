"""What one statement does to a table's rows, in the terms of merge strategies.

    read_change("DELETE t FROM t JOIN s ON t.id = s.id", syntax)
    # Change(kind="delete_keys", table="t", other="s", keys=("id",))

What cannot be read, and what no strategy does, is of the kind `other`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.sql.dml import IN_NO_WAY, Change, DmlReader, name_part
from pipekit_engine.sql.parsing import parse_change
from pipekit_engine.sql.tokens import tokens

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax

_NOISE = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SET", "RESET", "LOCK", "USE", "SHOW", "SAVEPOINT")
_NOISE_PAIRS = (["START", "TRANSACTION"], ["SELECT", "NOW"], ["SELECT", "COUNT"], ["SELECT", "CURRENT"])
_TABLE_MODIFIERS = ("GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED")


def read_change(sql: str, syntax: SqlSyntax) -> Change:
    """Read one statement. Never fails."""
    tree = parse_change(sql, syntax)
    if tree is None or tree.args.get("with_"):
        return _by_first_words(sql, syntax)
    reader = DmlReader(syntax, replaces=tokens(sql, syntax)[0].is_word("REPLACE"))
    return reader.read(tree)


def _by_first_words(sql: str, syntax: SqlSyntax) -> Change:
    """What the first words tell: of DDL its table, whose clauses are each database's own and beyond sqlglot; of a session's
    statements that they are such; of a DELETE that was not read that it is one."""
    found = tokens(sql, syntax)
    words = [token.text.upper() if token.kind == "word" else "" for token in found]
    if not found:
        return Change("noise")
    if words[0] in _NOISE or words[:2] in _NOISE_PAIRS:
        return Change("noise")
    if words[0] in ("CREATE", "DROP", "ALTER"):
        at = next((i for i, word in enumerate(words) if i and word not in _TABLE_MODIFIERS), 0)
        if words[at : at + 1] != ["TABLE"]:
            return Change("other")
        at += 1
        while words[at : at + 1] and words[at] in ("IF", "NOT", "EXISTS", "ONLY"):
            at += 1
        parts = found[at : at + 1]
        while found[at + 1 : at + 2] and found[at + 1].text in (".", "/"):
            at += 2
            parts += found[at : at + 1]
        return Change("housekeeping", ".".join(name_part(part.text, part.kind == "name", syntax) for part in parts))
    return Change("other", problem=IN_NO_WAY if words[0] == "DELETE" else "")
