"""What a tree of DELETE, INSERT, MERGE, UPDATE or TRUNCATE does to a table's rows, as far as a merge strategy could do the same.

A part of a statement that a strategy would do in another way is its `problem`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlglot import exp

    from pipekit_engine.sql.syntax import SqlSyntax

ChangeKind = Literal[
    "clear", "delete_keys", "delete_range", "insert", "merge", "update", "housekeeping", "noise", "other"
]

#: The problem of a DELETE of the kind `other`.
IN_NO_WAY = "it deletes in a way that no strategy does"
#: What a select may have beside its list, FROM, and what `_insert` looks at itself.
_NEUTRAL = frozenset(["expressions", "from_", "kind", "hint", "operation_modifiers"])


@dataclass(frozen=True)
class Change:
    """What a statement does.

    - `clear` empties `table`;
    - `delete_keys` deletes what `other` has by `keys`; `delete_range` deletes from a value of `keys[0]` on;
    - `insert` copies from `other` (`conflict`: what it does about existing keys);
    - `merge` and `update` bring `other` in by `keys`;
    - `housekeeping` creates, drops or alters `table`; `noise` does nothing that a sync needs.

    Tables are dotted names; a part is in double quotes where it means something else without. Columns have no quotes.
    """

    kind: ChangeKind
    table: str = ""
    other: str = ""
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    #: insert: the plain columns that it copies; None when it computes any of them; empty for `*`.
    sources: tuple[str, ...] | None = ()
    conflict: Literal["", "update", "nothing"] = ""
    #: insert: rows are left out whose keys are there.
    only_new: bool = False
    #: Why the statement cannot be carried over as it is; empty when it can.
    problem: str = ""
    #: insert: of rows with the same key, the one with the highest value in this column.
    latest_by: str = ""


def name_part(name: str, quoted: bool, syntax: SqlSyntax) -> str:
    """A part of a table's name, quoted where it means something else without."""
    if quoted and not (re.fullmatch(r"[^\W\d][\w$#@]*", name) and syntax.fold(name) == name):
        return '"' + name.replace('"', '""') + '"'
    return name


class DmlReader:
    """Reads the tree of one statement."""

    def __init__(self, syntax: SqlSyntax, *, replaces: bool) -> None:
        from sqlglot import exp

        self._exp = exp
        self._syntax = syntax
        self._replaces = replaces

    # Statements

    def read(self, tree: Any) -> Change:
        """What a statement of any kind does."""
        exp = self._exp
        if isinstance(tree, exp.TruncateTable):
            return self._truncate(tree)
        if isinstance(tree, exp.Delete):
            return self._delete(tree)
        if isinstance(tree, exp.Insert):
            return self._insert(tree)
        return self._merge(tree) if isinstance(tree, exp.Merge) else self._update(tree)

    def _truncate(self, tree: exp.TruncateTable) -> Change:
        if len(tree.expressions) != 1:
            return Change("other", problem="it empties several tables")
        return Change("clear", self._name(tree.expressions[0]))

    def _delete(self, tree: exp.Delete) -> Change:
        exp = self._exp
        related = self._related(tree, [*(tree.args.get("using") or ())])
        if related is None or any(tree.args.get(name) for name in ("limit", "order", "cluster")):
            return Change("other", problem=IN_NO_WAY)
        target, others, conditions, using = related
        table = self._name(target)
        unknown = Change("other", table, problem=IN_NO_WAY)
        if others:
            return self._matched("delete_keys", target, others[0], conditions, using) if len(others) == 1 else unknown
        if not conditions:
            return Change("clear", table)
        first = conditions[0]
        if len(conditions) == 1:
            if (isinstance(first, exp.Boolean) and first.this) or first.sql() == "1 = 1":
                return Change("clear", table)
            if isinstance(first, exp.In) and first.args.get("query") is not None:
                return self._delete_in(table, first) or unknown
            if isinstance(first, exp.Exists):
                query = self._plain_select(first.this, more=("where",))
                if query is None:
                    return unknown
                where = query.args.get("where")
                inner = self._conjuncts(where.this) if where is not None else []
                return self._matched("delete_keys", target, query.args["from_"].this, inner, [])
        compares = (exp.GTE, exp.GT, exp.EQ, exp.Between)
        if not isinstance(first, compares) or not isinstance(first.this, exp.Column):
            return unknown
        source = next((found for item in conditions for found in item.find_all(exp.Table)), None)
        problem = "" if len(conditions) == 1 else "it deletes by more than one condition"
        return Change("delete_range", table, self._name(source), (first.this.name,), problem=problem)

    def _delete_in(self, table: str, condition: exp.In) -> Change | None:
        query = self._plain_select(condition.args["query"], more=("distinct",))
        left = self._columns(self._items(condition.this))
        right = self._columns(query.expressions) if query is not None else None
        if query is None or left is None or right is None:
            return None
        problem = "" if _lower(left) == _lower(right) else "its key has two names"
        return Change("delete_keys", table, self._name(query.args["from_"].this), left, problem=problem)

    def _update(self, tree: exp.Update) -> Change:
        clause = tree.args.get("from_")
        related = self._related(tree, [clause.this] if clause is not None else [])
        if related is None or len(related[1]) != 1 or tree.args.get("limit"):
            return Change("other")
        target, others, conditions, using = related
        found = self._matched("update", target, others[0], conditions, using)
        return replace(found, problem=found.problem or self._computed(tree.expressions, {_alias(others[0])}))

    def _merge(self, tree: exp.Merge) -> Change:
        exp = self._exp
        target, source = tree.this, tree.args["using"]
        if isinstance(source, exp.Subquery):
            plain = self._plain_select(source.this)
            if plain is None or self._sources(plain) is None:
                return Change("other")
            source = exp.Table(**{**plain.args["from_"].this.args, "alias": source.args.get("alias")})
        if not isinstance(source, exp.Table):
            return Change("other")
        found = self._matched("merge", target, source, self._conjuncts(tree.args["on"]), [])
        problem, updates, inserts = found.problem, False, False
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if when.args.get("condition") is not None or when.args.get("source"):
                problem = problem or f"it has a branch of its own: {when.sql()[:60]}"
            elif isinstance(then, exp.Update):
                updates = True
                problem = problem or self._computed(then.expressions, {_alias(source)})
            elif isinstance(then, exp.Insert):
                inserts = True
                pairs = zip(self._items(then.this), self._items(then.expression), strict=False)
                equals = [exp.EQ(this=column.copy(), expression=value.copy()) for column, value in pairs]
                problem = problem or self._computed(equals, {_alias(source)})
            elif then.name.upper() != "DO NOTHING":
                problem = problem or f"it has a branch of its own: {when.sql()[:60]}"
        if not updates:
            problem = problem or "it inserts new keys and leaves old rows alone"
        elif not inserts:
            problem = problem or "it updates old rows and inserts no new ones"
        return replace(found, problem=problem)

    def _insert(self, tree: exp.Insert) -> Change:
        exp = self._exp
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        query = tree.expression
        while isinstance(query, (exp.Subquery, exp.Paren)):
            query = query.this
        if not isinstance(target, exp.Table) or not isinstance(query, exp.Query) or tree.args.get("overwrite"):
            return Change("other")
        if query.args.get("with_"):
            return Change("other")
        columns = tuple(item.name for item in tree.this.expressions) if isinstance(tree.this, exp.Schema) else ()
        select = query.find(exp.Select)
        clause = select.args.get("from_") if select is not None else None
        tables = [] if clause is None else list(clause.find_all(exp.Table))
        if select is None or not tables:
            return Change("insert", self._name(target), problem="it inserts what it does not read from a table")
        only_new = query is select and self._leaves_old_rows(target, select)
        latest = self._latest(select)
        looked_at = {*(("where", "joins") if only_new else ()), *(("distinct", "order") if latest else ())}
        changes = [name for name, value in select.args.items() if value and name not in _NEUTRAL | looked_at]
        if not isinstance(query, exp.Select):
            changes = [query.key, *changes]
        elif not self._is_plain_table(clause):
            changes = ["subquery", *changes]
        told = ", ".join(name.strip("_").upper() for name in changes)
        problem = f"it changes rows on the way ({told}): move that into the source query" if told else ""
        conflict, keys, computed = self._conflict(tree)
        return Change(
            "insert",
            self._name(target),
            self._name(tables[0]),
            keys,
            columns,
            self._sources(select),
            conflict,
            only_new,
            problem or computed,
            latest,
        )

    def _conflict(self, tree: exp.Insert) -> tuple[Literal["", "update", "nothing"], tuple[str, ...], str]:
        """What an INSERT does about keys that exist, the keys that it names, and what is wrong with that."""
        if self._replaces or tree.args.get("alternative") == "REPLACE":
            return "update", (), ""
        if tree.args.get("ignore") or tree.args.get("alternative") == "IGNORE":
            return "nothing", (), ""
        if tree.args.get("alternative"):
            return "", (), f"it does OR {tree.args['alternative']} about keys that exist"
        clause = tree.args.get("conflict")
        if clause is None:
            return "", (), ""
        keys = tuple(item.name or item.this.name for item in clause.args.get("conflict_keys") or ())
        if "NOTHING" in clause.args["action"].name.upper():
            return "nothing", keys, ""
        if clause.args.get("where") is not None:
            return "update", keys, "it updates some of the old rows only"
        return "update", keys, self._computed(clause.expressions, None)

    # Parts of statements

    def _related(
        self, tree: exp.Delete | exp.Update, more: Sequence[Any]
    ) -> tuple[exp.Table, list[exp.Table], list[exp.Expr], list[str]] | None:
        """The table that changes, those beside it, the conditions, and the columns of USING; None for anything else.

        The changed table stands first, or is named again among those of FROM and USING, or is the one that
        `DELETE x FROM ...` names.
        """
        exp = self._exp
        named = tree.args.get("tables") or []
        first = tree.this or (named[0] if len(named) == 1 else None)
        roots = [item for item in (first, *more) if item]
        tables: list[Any] = []
        conditions: list[Any] = []
        using: list[str] = []
        for root in roots:
            tables.append(root)
            for join in root.args.get("joins") or ():
                if join.side or join.method or join.kind not in ("", "INNER", "CROSS"):
                    return None
                tables.append(join.this)
                using += [item.name for item in join.args.get("using") or ()]
                if join.args.get("on") is not None:
                    conditions += self._conjuncts(join.args["on"])
        if not tables or len(named) > 1 or not all(isinstance(item, exp.Table) for item in tables):
            return None
        if any(item.args.get("pivots") or isinstance(item.this, exp.Func) for item in tables):
            return None
        wanted = _alias(named[0] if named else tables[0])
        meant = [item for item in (tables if named else tables[1:]) if _alias(item) == wanted]
        if len(meant) > 1 or (named and not meant):
            return None
        target = meant[0] if meant else tables[0]
        others = [item for item in tables if item is not target and (named or item is not tables[0])]
        if tree.args.get("where") is not None:
            conditions += self._conjuncts(tree.args["where"].this)
        return target, others, conditions, using

    def _matched(
        self, kind: ChangeKind, target: Any, other: Any, conditions: Sequence[exp.Expr], using: Sequence[str]
    ) -> Change:
        """A statement whose conditions say by which columns two tables are matched."""
        exp = self._exp
        sides = {"", _alias(target)}, {"", _alias(other)}
        keys = list(using)
        problem = ""
        terms: list[tuple[Any, Any, Any]] = []
        for condition in conditions:
            left, right = self._items(condition.this), self._items(condition.expression)
            pairs = list(zip(left, right, strict=True)) if len(left) == len(right) else []
            compared = pairs if isinstance(condition, exp.EQ) else []
            terms += [(condition, one, two) for one, two in compared] or [(condition, None, None)]
        for condition, one, two in terms:
            columns = isinstance(one, exp.Column) and isinstance(two, exp.Column)
            if columns and one.name.lower() == two.name.lower() and one.table.lower() != two.table.lower():
                tables = one.table.lower(), two.table.lower()
                if any(tables[i] in sides[0] and tables[1 - i] in sides[1] for i in (0, 1)):
                    keys.append(one.name)
                    continue
            problem = problem or f"it matches by {condition.sql()}"
        if not keys:
            problem = problem or "it matches by nothing"
        return Change(kind, self._name(target), self._name(other), tuple(keys), problem=problem)

    def _leaves_old_rows(self, target: exp.Table, select: exp.Select) -> bool:
        """True when all that the joins and the condition do is to leave out rows whose keys the target has."""
        exp = self._exp
        joins, where = select.args.get("joins") or [], select.args.get("where")
        condition: Any = where.this.unnest() if where is not None else None
        if len(joins) == 1 and joins[0].side == "LEFT" and self._is_same(joins[0].this, target):
            absent = isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null)
            return absent and condition.this.text("table").lower() == _alias(joins[0].this)
        inner: Any = condition.this.unnest() if not joins and isinstance(condition, exp.Not) else None
        nested = {exp.Exists: "this", exp.In: "query"}.get(type(inner), "")
        plain = self._plain_select(inner.args.get(nested) if nested else None, more=("where", "distinct"))
        return plain is not None and self._is_same(plain.args["from_"].this, target)

    def _latest(self, select: exp.Select) -> str:
        """The column of `DISTINCT ON (key) ... ORDER BY key, column DESC`."""
        exp = self._exp
        distinct, order = select.args.get("distinct"), select.args.get("order")
        if distinct is None or distinct.args.get("on") is None or order is None:
            return ""
        last = order.expressions[-1]
        keys = {item.name.lower() for item in self._items(distinct.args["on"])}
        if {item.this.name.lower() for item in order.expressions[:-1]} != keys:
            return ""
        return last.this.name if last.args.get("desc") and isinstance(last.this, exp.Column) else ""

    def _computed(self, settings: Iterable[Any], qualifiers: set[str] | None) -> str:
        """What is said of a SET that writes anything but the same column of the source; empty when nothing does.

        `qualifiers`: what names the source; None for an upsert, which has names of its own for the new row.
        """
        exp = self._exp
        for item in settings:
            if isinstance(item, exp.Star):
                continue
            lefts, rights = self._items(item.this), self._items(item.args.get("expression"))
            for left, right in zip(lefts, rights, strict=False):
                same = isinstance(right, exp.Column) and right.name.lower() == left.name.lower()
                if same and right.table and (qualifiers is None or right.table.lower() in qualifiers):
                    continue
                if qualifiers is None and re.fullmatch(
                    rf"VALUES\s*\(\W?{re.escape(left.name)}\W?\)", right.sql(), re.I
                ):
                    continue  # MySQL's name for the new row's column
                return f"it computes {left.name} on the way: move that into the source query"
        return ""

    def _plain_select(self, node: Any, more: Sequence[str] = ()) -> exp.Select | None:
        """A select from one table and nothing else, `more` clauses excepted."""
        exp = self._exp
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = node.this
        if not isinstance(node, exp.Select) or not self._is_plain_table(node.args.get("from_")):
            return None
        return None if any(value and name not in {*_NEUTRAL, *more} for name, value in node.args.items()) else node

    def _is_plain_table(self, clause: Any) -> bool:
        exp = self._exp
        table = clause.this if clause is not None else None
        known = {"this", "db", "catalog", "alias", "hints"}
        return (
            isinstance(table, exp.Table)
            and isinstance(table.this, exp.Identifier)
            and not any(value and name not in known for name, value in table.args.items())
        )

    def _sources(self, select: exp.Select) -> tuple[str, ...] | None:
        """The columns of a select list that has nothing but columns; empty for `*`."""
        if len(select.expressions) == 1 and select.expressions[0].is_star:
            return ()
        return self._columns(select.expressions)

    def _columns(self, items: Iterable[Any]) -> tuple[str, ...] | None:
        exp = self._exp
        bare = [item.this if isinstance(item, exp.Alias) else item for item in items]
        plain = all(isinstance(item, exp.Column) and not item.is_star for item in bare)
        return tuple(item.name for item in bare) if plain else None

    def _conjuncts(self, node: exp.Expr) -> list[exp.Expr]:
        node = node.unnest()
        if not isinstance(node, self._exp.And):
            return [node]
        return [*self._conjuncts(node.this), *self._conjuncts(node.expression)]

    def _items(self, node: Any) -> list[Any]:
        """The members of `(a, b)`; anything else is one."""
        exp = self._exp
        if isinstance(node, exp.Tuple):
            return list(node.expressions)
        return [] if not isinstance(node, exp.Expr) else [node.unnest()]

    def _is_same(self, one: Any, other: exp.Table) -> bool:
        return isinstance(one, self._exp.Table) and self._name(one).lower() == self._name(other).lower()

    def _name(self, table: Any) -> str:
        parts = table.parts if isinstance(table, self._exp.Table) else []
        return ".".join(name_part(part.name, bool(part.args.get("quoted")), self._syntax) for part in parts)


def _alias(table: Any) -> str:
    return str(table.alias_or_name).lower()


def _lower(names: Iterable[str]) -> list[str]:
    return [name.lower() for name in names]
