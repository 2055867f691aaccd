"""Each type of each database, with extreme values, into each database: three runs, two strategies, compared row by row.

All types of a database are columns of one table. A column that pipekit refuses is left out of the next try, and its values
are then tried one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.truth_sets.comparer import Difference, compare
from tests.truth_sets.known import TYPES, mark
from tests.truth_sets.readers import KINDS, Database, Table, inserts
from tests.truth_sets.site import Site
from tests.truth_sets.torture import SHAPES, Shape

#: The quick cut: each kind once.
QUICK = {("postgresql", "mariadb"), ("sqlite", "h2")}
#: Values of a refused column that are tried one by one.
SINGLE = 4


def rows_of(shapes: tuple[Shape, ...]) -> list[list[str]]:
    """Run, key, and a literal of each column: values go round from row to row and from run to run.

    The second and third run lack a row of the run before, and have a new one.
    """
    count = max(len(shape.values) for shape in shapes) + 1
    columns = [[*shape.values, "NULL"] for shape in shapes]
    return [
        [str(run), str(place + run - 1), *(values[(place + (run - 1) * 2) % len(values)] for values in columns)]
        for run in (1, 2, 3)
        for place in range(1, count + 1)
    ]


def fill_source(database: Database) -> None:
    """Table `types`: run, key, and a column `v_NAME` of each shape."""
    shapes = SHAPES[database.kind]
    columns = ", ".join(f"v_{shape.name} {shape.type}" for shape in shapes)
    database.execute(
        *(statement for shape in shapes for statement in shape.before),
        f"CREATE TABLE types (run INTEGER, id INTEGER, {columns})",
        *inserts(database.kind, "types", rows_of(shapes), 1),
    )


class Pair:
    """What came of every type between two databases, by the type's name.

    `wrong` has the silent differences, `refused` the messages, `unclear` those that name no column.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wrong: dict[str, list[str]] = {}
        self.refused: dict[str, list[str]] = {}
        self.unclear: dict[str, list[str]] = {}
        self._shapes = {shape.name: shape for shape in SHAPES[site.source.kind]}
        self._left = [name for name, shape in self._shapes.items() if not shape.alone]
        for run, strategy in ((1, "upsert"), (2, "upsert"), (3, "full")):
            site.set_clock(run)
            while self._left and not self._moves(run, strategy):
                pass
        self._single_values()

    def _module(self, names: list[str], condition: str, **fields: object) -> dict[str, object]:
        columns = ", ".join(f"v_{name}" for name in names)
        return {"query": f"SELECT id, {columns} FROM types WHERE {condition}", **fields}

    def _moves(self, run: int, strategy: str) -> bool:
        """Whether the columns left went through; if not, what the message names is left out."""
        key = {"merge_key": ["id"]} if strategy == "upsert" else {}
        clock = {"run": {"connection": "clock", "resolver_sql": "SELECT run FROM clock"}}
        # A column that goes leaves the table in the way: each set of columns has a table of its own.
        table = f"types_{len(self._left)}"
        self.site.modules(
            {
                "types": self._module(
                    self._left, "run = {run}", dest_table=table, strategy=strategy, watermarks=clock, **key
                )
            }
        )
        error = self.site.run(["types"])["types"].error
        if error is None:
            self._compare(table, "types", f"run = {run}", self._left, gone=run == 2)
            return True
        # What follows is the statement, which names every column.
        message = re.split(r"\s+in: ", error)[0]
        named = {name.lower() for name in re.findall(r"\bv_(\w+)", message, re.IGNORECASE)} & set(self._left)
        for name in named:
            self.refused.setdefault(name, []).append(message)
        if not named:
            # Where each half goes alone, it is all of them that do not.
            named = set(self._culprits(self._left, error)) or set(self._left)
            for name in named - {*self.refused, *self.unclear}:
                self._told(name, error)
        self._left = [name for name in self._left if name not in named]
        return not named

    def _told(self, name: str, error: str) -> None:
        """Note a refusal of one column: is the column named, apart from in the statement?"""
        clear = re.search(rf"\bv_{name}\b", re.split(r"\s+in: ", error)[0], re.IGNORECASE)
        (self.refused if clear else self.unclear).setdefault(name, []).append(error)

    def _culprits(self, names: list[str], error: str) -> list[str]:
        """The columns that cannot be moved, found by halves: the message does not name them."""
        if len(names) == 1:
            self._told(names[0], error)
            return names
        found = []
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            self.site.modules({"half": self._module(half, "run = 1", dest_table=f"half_{half[0]}_{len(half)}")}, "half")
            problem = self.site.run(["half"])["half"].error
            if problem is not None:
                found += self._culprits(half, problem)
        return found

    def _compare(self, table: str, name: str, condition: str, columns: list[str], gone: bool = False) -> None:
        source = self.site.source.read("types", condition, ["id", *(f"v_{column}" for column in columns)])
        dest = self.site.dest.read(table)
        if gone:
            # Upsert leaves the row that is gone at the source, if the table was there.
            kept = {row[0] for row in source.rows}
            dest = Table(dest.columns, [row for row in dest.rows if row[0] in kept])
        for difference in compare(name, self.site.source.kind, source, dest, ["id"]):
            self._found(difference, columns)

    def _found(self, difference: Difference, columns: list[str]) -> None:
        named = (difference.column or "").lower().removeprefix("v_")
        for name in [named] if difference.column else columns:
            self.wrong.setdefault(name, []).append(str(difference))

    def _single_values(self) -> None:
        """The values of the columns that were left out, one by one."""
        modules = {}
        alone = [name for name, shape in self._shapes.items() if shape.alone]
        for name in dict.fromkeys([*self.refused, *self.unclear, *alone]):
            for place in range(1, min(len(self._shapes[name].values), SINGLE) + 1):
                modules[f"v_{name}_{place}"] = self._module([name], f"run = 1 AND id = {place}")
        self.site.modules(modules, "single")
        for module, outcome in self.site.run(modules).items():
            name, _, place = module.removeprefix("v_").rpartition("_")
            if outcome.error is None:
                self._compare(module, module, f"run = 1 AND id = {place}", [name])
            else:
                self._told(name, outcome.error)


@pytest.fixture(scope="session")
def pair(
    make_database: Callable[[str], Database], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Pair]:
    """`pair(source, dest)` moves all types of the source, once."""
    sources: dict[str, Database] = {}
    pairs: dict[tuple[str, str], Pair] = {}

    def make(source: str, dest: str) -> Pair:
        if source not in sources:
            sources[source] = make_database(source)
            fill_source(sources[source])
        if (source, dest) not in pairs:
            folder: Path = tmp_path_factory.mktemp(f"{source}-{dest}-")
            pairs[source, dest] = Pair(Site(folder, sources[source], make_database(dest)))
        return pairs[source, dest]

    return make


def _cases() -> list[object]:
    return [
        pytest.param(source, dest, shape.name, id=f"{source}-{dest}-{shape.name}",
                     marks=[*mark(TYPES, (source, dest, shape.name)), pytest.mark.xdist_group(f"{source}-{dest}"),
                            *([] if (source, dest) in QUICK else [pytest.mark.all_pairs])])
        for source in KINDS for dest in KINDS for shape in SHAPES[source]
    ]  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("source", "dest", "shape"), _cases())
@pytest.mark.sample(2, rest="all_pairs")
def test_a_type_arrives_exactly_or_is_refused(
    pair: Callable[[str, str], Pair], source: str, dest: str, shape: str
) -> None:
    found = pair(source, dest)
    assert not found.wrong.get(shape), "\n".join(found.wrong[shape])
    assert not found.unclear.get(shape), "no column is named: " + "\n".join(found.unclear[shape])


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_types_share_a_name(kind: str) -> None:
    names = [shape.name for shape in SHAPES[kind]]
    assert len(names) == len(set(names))
