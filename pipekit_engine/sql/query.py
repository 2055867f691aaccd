"""What a query reads: its tables, and where each of its columns comes from.

    query = read_query("WITH x AS (SELECT a.id FROM a) SELECT x.id FROM x JOIN b USING (n)", syntax)
    query.tables            # (("a",), ("b",))
    query.column("id")      # Lineage(inputs=(ColumnOrigin(("a",), "id"),), copied=True)

Columns are followed through joins, WITH clauses, subqueries and set operations. What the text alone does not tell for sure is
not known: no answer is better than a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipekit_engine.sql.parsing import has_placeholder, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlglot import exp

    from pipekit_engine.sql.syntax import SqlSyntax

#: A table's name as the database folds it: `("sales", "orders")`.
Parts = tuple[str, ...]

#: Words that look like a column and are none.
_PSEUDO_COLUMNS = frozenset(
    ["ROWNUM", "ROWID", "LEVEL", "SYSDATE", "SYSTIMESTAMP", "USER", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"]
)


@dataclass(frozen=True)
class ColumnOrigin:
    """A column of a table, both as the database folds their names."""

    table: Parts
    column: str


@dataclass(frozen=True)
class Lineage:
    """Where a value comes from: the columns that it is computed from; `copied` when it is one of them, unchanged.

    `among`: it is copied from the column of this name in one of these tables; which one, the tables themselves must tell.
    """

    inputs: tuple[ColumnOrigin, ...] = ()
    copied: bool = False
    among: tuple[ColumnOrigin, ...] = ()


@dataclass(frozen=True)
class _Relation:
    """Something that has columns. A base table has all that are asked for; a derived one those that it lists."""

    table: Parts | None = None
    #: Columns in order: their key (None: the database makes up a name), and what is known of them.
    columns: tuple[tuple[str | None, Lineage | None], ...] = ()
    #: What `*` adds, and whether one `*` did: a column behind it is in one of these.
    stars: tuple[_Relation, ...] = ()
    among: bool = False
    #: False when it may have columns that nothing here tells of.
    complete: bool = True
    #: Words of items without a name, by one of which the database may call them.
    words: frozenset[str] = frozenset()

    def names(self, key: str) -> bool:
        """True when a column of this key is listed."""
        return any(name == key for name, _ in self.columns)


_UNKNOWN = _Relation(complete=False)


@dataclass(frozen=True)
class Query:
    """What is known of a query; all is empty when it could not be read.

    `tables` are all that it reads, in the order of the text, those of subqueries included. `sources` are the tables of its
    outermost FROM; empty when a source is anything but a table. `grouped`: its outermost SELECT has a GROUP BY.
    """

    known: bool = False
    tables: tuple[Parts, ...] = ()
    sources: tuple[Parts, ...] = ()
    grouped: bool = False
    _reader: _Reader | None = field(default=None, repr=False, compare=False)
    _relation: _Relation = field(default=_UNKNOWN, repr=False, compare=False)

    def column(self, name: str) -> Lineage | None:
        """Where a column comes from, by its name in the query's description; None when that is not known."""
        return self._reader.described(self._relation, name) if self._reader else None


@lru_cache(maxsize=1024)
def read_query(sql: str, syntax: SqlSyntax) -> Query:
    """Read a query. Never fails: for a text that cannot be read the answer is a `Query` that is not `known`."""
    tree = parse(sql, syntax)
    if tree is None:
        return Query()
    reader = _Reader(syntax)
    try:
        found: dict[Parts, int] = {}
        if not reader.collect(tree, frozenset(), found):
            return Query()
        relation = reader.query(tree, {})
    except RecursionError:
        return Query()
    tables = tuple(sorted(found, key=lambda parts: found[parts]))
    return Query(
        True, tables, reader.sources(tree), reader.unwrap(tree).args.get("group") is not None, reader, relation
    )


class _Reader:
    """Walks a parse tree. `env` holds what WITH clauses define, by the keys of their names."""

    def __init__(self, syntax: SqlSyntax) -> None:
        from sqlglot import exp

        self._exp = exp
        self._syntax = syntax
        #: Depth of subqueries that see the tables beside them.
        self._lateral = 0

    def key(self, name: str) -> str:
        """By what a name is compared."""
        return name.casefold() if self._syntax.unquoted_case == "keep" else name

    # Tables

    def collect(self, node: Any, hidden: frozenset[str], found: dict[Parts, int]) -> bool:
        """Put the tables below a node into `found`, with their places; False when one of them cannot be told."""
        exp = self._exp
        if isinstance(node, exp.Lock):
            return True  # FOR UPDATE OF names tables that are read already
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Func):
            parts = self._parts(node)
            if parts is None:
                return False
            if parts and not (len(parts) == 1 and self.key(parts[0]) in hidden):
                found.setdefault(parts, node.parts[0].meta.get("start", len(found)))
        clause = node.args.get("with_")
        if clause is not None:
            names = [self.key(item.alias) for item in clause.expressions]
            recursive = clause.args.get("recursive") or not self._syntax.recursive_keyword
            for item, name in zip(clause.expressions, names, strict=True):
                own = frozenset(names if clause.args.get("recursive") else [name]) if recursive else frozenset()
                if not self.collect(item.this, hidden | own, found):
                    return False
                hidden |= {name}
        return all(self.collect(child, hidden, found) for child in node.iter_expressions() if child is not clause)

    def _parts(self, table: exp.Table) -> Parts | None:
        """A table's name; empty for what is a variable or lives in the session alone, None when it is not told."""
        exp = self._exp
        if isinstance(table.this, exp.Parameter):
            return ()
        names = table.parts
        if not all(isinstance(part, exp.Identifier) for part in names):
            return None
        if any(part.args.get("temporary") or part.args.get("global_") for part in names):
            return ()
        if any(has_placeholder(part.this) or ("@" in part.this and not part.args.get("quoted")) for part in names):
            return None  # of a run, or of another database
        return tuple(part.this for part in names)

    def unwrap(self, tree: exp.Query) -> exp.Query:
        """The query within parentheses."""
        while isinstance(tree, self._exp.Subquery) and isinstance(tree.this, self._exp.Query):
            tree = tree.this
        return tree

    def sources(self, tree: exp.Query) -> tuple[Parts, ...]:
        """The tables of the outermost FROM, if it has nothing else."""
        tree = self.unwrap(tree)
        if not isinstance(tree, self._exp.Select):
            return ()
        env = self._with(tree, {})
        relations, merged = self._scope(tree, env)
        tables = [relation.table for relation in relations.values()]
        return tuple(table for table in tables if table) if merged is not None and all(tables) else ()

    # Columns

    def query(self, node: Any, env: Mapping[str, _Relation]) -> _Relation:
        """What a query gives."""
        exp = self._exp
        env = self._with(node, env)
        if isinstance(node, exp.SetOperation):
            return self._combined(self.query(node.left, env), self.query(node.right, env))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            return self.query(node.this, env)
        return self._select(node, env) if isinstance(node, exp.Select) else _UNKNOWN

    def _with(self, node: Any, env: Mapping[str, _Relation]) -> dict[str, _Relation]:
        env = dict(env)
        clause = node.args.get("with_")
        for item in clause.expressions if clause is not None else ():
            name, body = self.key(item.alias), item.this
            recursive = clause.args.get("recursive") or not self._syntax.recursive_keyword
            if recursive and isinstance(body, self._exp.SetOperation):
                # The first branch says what the name stands for in the second.
                first = self._renamed(self.query(body.left, {**env, name: _UNKNOWN}), item)
                relation = self._combined(first, self.query(body.right, {**self._with(body, env), name: first}))
            else:
                relation = self.query(body, {**env, name: _UNKNOWN} if recursive else env)
            env[name] = self._renamed(relation, item)
        return env

    def _renamed(self, relation: _Relation, node: Any) -> _Relation:
        """With the column names of `name (a, b)`."""
        alias = node.args.get("alias")
        names = [self.key(item.name) for item in alias.args.get("columns") or ()] if alias is not None else []
        if not names:
            return relation
        if relation.table or relation.stars or not relation.complete or len(names) > len(relation.columns):
            return _UNKNOWN
        values = [value for _, value in relation.columns]
        kept = [name for name, _ in relation.columns[len(names) :]]
        return replace(relation, columns=tuple(zip([*names, *kept], values, strict=True)))

    def _combined(self, first: _Relation, second: _Relation) -> _Relation:
        """The columns of a set operation, by their places; the first branch names them."""
        if not all(branch.complete and not branch.stars and not branch.table for branch in (first, second)):
            return _UNKNOWN
        if len(first.columns) != len(second.columns):
            return _UNKNOWN
        columns = []
        for (name, one), (_, other) in zip(first.columns, second.columns, strict=True):
            both = None
            if one is not None and other is not None and not one.among and not other.among:
                both = one if one == other else Lineage(tuple(dict.fromkeys((*one.inputs, *other.inputs))))
            columns.append((name, both))
        return _Relation(columns=tuple(columns), words=first.words)

    def _select(self, node: exp.Select, env: Mapping[str, _Relation]) -> _Relation:
        exp = self._exp
        relations, merged = self._scope(node, env)
        columns: list[tuple[str | None, Lineage | None]] = []
        stars: list[_Relation] = []
        words: set[str] = set()
        complete, among = True, False
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
            if isinstance(star, exp.Star):
                complete &= not any(star.args.get(name) for name in ("except_", "replace", "rename"))
                if star is item:
                    among = True
                    stars += relations.values()
                    complete &= merged == set() or all(relation.table for relation in relations.values())
                else:
                    stars.append(relations.get(self.key(item.table), _UNKNOWN) if not item.db else _UNKNOWN)
                continue
            value = item.this if isinstance(item, exp.Alias) else item
            name = self.key(item.alias_or_name) if isinstance(item, (exp.Alias, exp.Column)) else None
            if name is None:
                words |= {word.casefold() for word in re.findall(r"\w+", item.sql())}
            columns.append((name, self._value(value, relations, merged)))
        return _Relation(None, tuple(columns), tuple(stars), among, complete, frozenset(words))

    def _scope(self, node: exp.Select, env: Mapping[str, _Relation]) -> tuple[dict[str, _Relation], set[str] | None]:
        """What FROM names, and the columns that joins merge; None for these when any may be merged, or a name is not clear."""
        clause = node.args.get("from_")
        items = [clause.this] if clause is not None else []
        merged: set[str] | None = set()
        for join in node.args.get("joins") or ():
            items.append(join.this)
            if join.method == "NATURAL":
                merged = None
            elif merged is not None:
                merged |= {self.key(item.name) for item in join.args.get("using") or ()}
        items += node.args.get("laterals") or ()
        relations: dict[str, _Relation] = {}
        for item in items:
            name = self.key(item.alias_or_name)
            if name in relations or not name or item.args.get("joins"):
                # s1.t and s2.t: which of them `t` means is not worth guessing.
                relations[name], merged = _UNKNOWN, None
            else:
                relations[name] = self._source(item, env)
        return relations, merged

    def _source(self, item: Any, env: Mapping[str, _Relation]) -> _Relation:
        exp = self._exp
        if item.args.get("pivots") or isinstance(item.this, exp.Func):
            return _UNKNOWN
        if isinstance(item, exp.Table):
            parts = self._parts(item)
            if not parts:
                return _UNKNOWN
            known = env.get(self.key(parts[0])) if len(parts) == 1 else None
            return self._renamed(_Relation(parts) if known is None else known, item)
        if isinstance(item, exp.Subquery):
            return self._renamed(self.query(item, env), item)
        if isinstance(item, exp.Lateral) and isinstance(item.this, exp.Subquery):
            self._lateral += 1
            try:
                return self._renamed(self.query(item.this, env), item)
            finally:
                self._lateral -= 1
        return _UNKNOWN

    def _value(self, node: Any, relations: Mapping[str, _Relation], merged: set[str] | None) -> Lineage | None:
        exp = self._exp
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.Column):
            return self._column(node, relations, merged)
        if node.find(exp.Query, exp.Dot):
            return None
        values = [self._column(column, relations, merged) for column in node.find_all(exp.Column)]
        known = [value for value in values if value is not None and not value.among]
        if len(known) < len(values):
            return None
        return Lineage(tuple(dict.fromkeys(origin for value in known for origin in value.inputs)))

    def _column(self, node: exp.Column, relations: Mapping[str, _Relation], merged: set[str] | None) -> Lineage | None:
        name = node.name
        if isinstance(node.this, self._exp.Star):
            return None
        if node.table:
            relation = relations.get(self.key(node.table))
            if node.db and (relation is None or relation.table is None or relation.table[-2:-1] != (node.db,)):
                return None
            return self.lookup(relation, name) if relation is not None else None
        if name.upper() in _PSEUDO_COLUMNS and not node.this.args.get("quoted"):
            return Lineage()
        if self._lateral:
            return None
        if len(relations) == 1:
            return self.lookup(next(iter(relations.values())), name)
        if merged is None or self.key(name) in merged:
            return self._among(relations.values(), name)
        return self.pick(list(relations.values()), name)

    def lookup(self, relation: _Relation, name: str) -> Lineage | None:
        """Where a relation's column comes from."""
        if relation.table is not None:
            return Lineage((ColumnOrigin(relation.table, name),), copied=True)
        key = self.key(name)
        values = [value for other, value in relation.columns if other == key]
        if values or not relation.complete or name.casefold() in relation.words:
            return values[0] if len(values) == 1 else None
        if len(relation.stars) == 1:
            return self.lookup(relation.stars[0], name)
        return self.pick(relation.stars, name) if relation.among else None

    def pick(self, relations: Sequence[_Relation], name: str) -> Lineage | None:
        """Where a column of one of several relations comes from: the one that lists it, or the only one that may have it."""
        key = self.key(name)
        listing = [relation for relation in relations if relation.names(key)]
        if listing:
            return self.lookup(listing[0], name) if len(listing) == 1 else None
        possible = [r for r in relations if r.table is not None or r.stars or not r.complete or r.words]
        return self.lookup(possible[0], name) if len(possible) == 1 else self._among(possible, name)

    def _among(self, relations: Iterable[_Relation], name: str) -> Lineage | None:
        tables = [relation.table for relation in relations]
        if not tables or not all(tables):
            return None
        return Lineage(among=tuple(ColumnOrigin(table, name) for table in tables if table))

    def described(self, relation: _Relation, name: str) -> Lineage | None:
        """As `lookup`, by a name as a driver describes it: in any case where no column has it as it is."""
        key = self.key(name)
        if not relation.names(key):
            alike = {other for other, _ in relation.columns if other and other.casefold() == name.casefold()}
            if alike:
                return self.lookup(relation, alike.pop()) if len(alike) == 1 else None
        return self.lookup(relation, name)
