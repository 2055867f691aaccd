"""Keys that look alike: two keys of the source stay two rows at the destination, and one key stays one row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.truth_sets.known import KEYS, OWN_TABLES, SAME_KEY, mark
from tests.truth_sets.readers import KINDS, Database, inserts
from tests.truth_sets.site import Outcome, Site

QUICK = {("mariadb", "mariadb")}

#: Pairs of texts that exact collations tell apart.
ALIKE = {
    "case": ("aB3", "ab3"),
    "accent": ("resume", "résumé"),
    "blank": ("a", "a "),
    "form": ("caf\u00e9", "cafe\u0301"),
    "sharp_s": ("Straße", "Strasse"),
}
#: The type of a key that tells all of them apart; Derby's and HSQLDB's texts ignore blanks at the end.
EXACT = {
    "postgresql": "varchar(20)",
    "mariadb": "varchar(20) character set utf8mb4 collate utf8mb4_nopad_bin",
    "sqlite": "VARCHAR(20)",
    "h2": "VARCHAR(20)",
    "derby": "VARCHAR(20)",
    "hsqldb": "VARCHAR(20)",
    "duckdb": "VARCHAR",
}
STRATEGIES = ("upsert", "incremental")
CLOCK = {"run": {"connection": "clock", "resolver_sql": "SELECT run FROM clock"}}


def literal(kind: str, text: str) -> str:
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)" if kind == "mariadb" else f"'{text}'"


def fill_source(database: Database, table: str, type_: str, rows: list[tuple[int, str, int]]) -> None:
    """A table of runs, keys (SQL literals) and numbers. Its own key is the key within the run."""
    database.execute(
        # DuckDB takes no interval into an index.
        f"CREATE TABLE {table} (run INTEGER NOT NULL, k {type_} NOT NULL, n INTEGER"
        f"{'' if type_ == 'INTERVAL' else ', PRIMARY KEY (run, k)'})",
        *inserts(database.kind, table, [(str(run), key, str(n)) for run, key, n in rows]),
    )


def module(table: str, strategy: str, **fields: object) -> dict[str, object]:
    return {
        "query": f"SELECT k, n FROM {table} WHERE run = {{run}}",
        "strategy": strategy,
        "merge_key": ["k"],
        "watermarks": CLOCK,
        **fields,
    }


def found(site: Site, table: str) -> list[tuple[str | None, ...]]:
    return sorted(site.dest.read(table).rows, key=str)


def check(site: Site, name: str, outcome: Outcome, expected: list[tuple[str, str]]) -> str | None:
    """What is wrong, or None: exact, or refused by a message that names the key's column."""
    if outcome.error is not None:
        return None if outcome.refuses(r"\bk\b") and "unique" not in outcome.error else f"{name}: {outcome.error}"
    rows = found(site, name)
    return None if rows == sorted(expected, key=str) else f"{name}: expected {expected}, found {rows}"


@pytest.fixture(scope="module")
def alike(
    make_database: Callable[[str], Database], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], dict[str, list[str]]]:
    """`alike(source, dest)` moves each pair of keys in two runs and in one: what is wrong, by the pair's name."""
    done: dict[tuple[str, str], dict[str, list[str]]] = {}
    sources: dict[str, Database] = {}

    def pairs(kind: str) -> dict[str, tuple[str, str]]:
        return {name: keys for name, keys in ALIKE.items() if name != "blank" or kind not in ("derby", "hsqldb")}

    def source_of(kind: str) -> Database:
        if kind not in sources:
            sources[kind] = make_database(kind)
            for name, (one, two) in pairs(kind).items():
                first, second = literal(kind, one), literal(kind, two)
                rows = [(1, first, 1), (2, second, 2), (3, first, 10), (3, second, 20)]
                fill_source(sources[kind], f"k_{name}", EXACT[kind], rows)
        return sources[kind]

    def move(source: str, dest: str) -> dict[str, list[str]]:
        folder: Path = tmp_path_factory.mktemp(f"keys-{source}-{dest}-")
        site = Site(folder, source_of(source), make_database(dest))
        apart = {
            f"{strategy}_{name}": module(f"k_{name}", strategy) for name in pairs(source) for strategy in STRATEGIES
        }
        together = {f"one_{name}": fields for name, fields in apart.items()}
        site.modules({**apart, **together})
        wrong: dict[str, list[str]] = {}
        left = list(apart)
        for run, names in ((1, left), (2, left), (3, [*left, *together]), (3, list(together))):
            site.set_clock(run)
            for name, outcome in site.run(names).items():
                pair = name.removeprefix("one_").split("_", 1)[1]
                one, two = ALIKE[pair]
                expected = {1: [(one, "1")], 2: [(one, "1"), (two, "2")], 3: [(one, "10"), (two, "20")]}[run]
                problem = check(site, name, outcome, expected)
                if problem:
                    wrong.setdefault(pair, []).append(f"run {run}, {problem}")
        return wrong

    def get(source: str, dest: str) -> dict[str, list[str]]:
        if (source, dest) not in done:
            done[source, dest] = move(source, dest)
        return done[source, dest]

    return get


def _cases() -> list[object]:
    return [
        pytest.param(source, dest, name, id=f"{source}-{dest}-{name}",
                     marks=[*mark(KEYS, (source, dest, name)), pytest.mark.xdist_group(f"keys-{source}-{dest}"),
                            *([] if (source, dest) in QUICK else [pytest.mark.all_pairs])])
        for source in KINDS for dest in KINDS for name in ALIKE
        if name != "blank" or source not in ("derby", "hsqldb")
    ]  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("source", "dest", "name"), _cases())
@pytest.mark.sample(2, rest="all_pairs")
def test_two_keys_stay_two_rows(
    alike: Callable[[str, str], dict[str, list[str]]], source: str, dest: str, name: str
) -> None:
    wrong = alike(source, dest).get(name)
    assert not wrong, "\n".join(wrong)


QUICK_OWN = ("citext", "mariadb_ci", "nocase", "derby_varchar")
#: Tables of one's own whose key takes two texts for one: destination, statements with the table `own`, and the two keys.
COARSE = {
    "citext": ("postgresql", ["CREATE EXTENSION citext", "CREATE TABLE own (k citext PRIMARY KEY, n integer)"], "case"),
    "icu": (
        "postgresql",
        [
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE TABLE own (k varchar(20) COLLATE loose PRIMARY KEY, n integer)",
        ],
        "case",
    ),
    "icu_unindexed": (
        "postgresql",
        [
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE TABLE own (k varchar(20) COLLATE loose, n integer)",
        ],
        "accent",
    ),
    "pg_char": ("postgresql", ["CREATE TABLE own (k char(20) PRIMARY KEY, n integer)"], "blank"),
    "mariadb_ci": (
        "mariadb",
        ["CREATE TABLE own (k varchar(20) character set utf8mb4 collate utf8mb4_general_ci PRIMARY KEY, n int)"],
        "case",
    ),
    "mariadb_ci_accent": (
        "mariadb",
        ["CREATE TABLE own (k varchar(20) character set utf8mb4 collate utf8mb4_unicode_ci, n int)"],
        "accent",
    ),
    "mariadb_pad": (
        "mariadb",
        ["CREATE TABLE own (k varchar(20) character set utf8mb4 collate utf8mb4_bin PRIMARY KEY, n int)"],
        "blank",
    ),
    "nocase": ("sqlite", ["CREATE TABLE own (k TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)"], "case"),
    "rtrim": ("sqlite", ["CREATE TABLE own (k TEXT COLLATE RTRIM PRIMARY KEY, n INTEGER)"], "blank"),
    "nocase_index": (
        "sqlite",
        ["CREATE TABLE own (k TEXT, n INTEGER)", "CREATE UNIQUE INDEX own_k ON own (k COLLATE NOCASE)"],
        "case",
    ),
    "h2_ignorecase": ("h2", ["CREATE TABLE own (k VARCHAR_IGNORECASE(20) PRIMARY KEY, n INTEGER)"], "case"),
    "h2_char": ("h2", ["CREATE TABLE own (k CHAR(20) PRIMARY KEY, n INTEGER)"], "blank"),
    "derby_varchar": ("derby", ["CREATE TABLE own (k VARCHAR(20) NOT NULL PRIMARY KEY, n INTEGER)"], "blank"),
    "hsqldb_varchar": ("hsqldb", ["CREATE TABLE own (k VARCHAR(20) PRIMARY KEY, n INTEGER)"], "blank"),
    "duckdb_nocase": ("duckdb", ["CREATE TABLE own (k VARCHAR COLLATE NOCASE PRIMARY KEY, n INTEGER)"], "case"),
    "duckdb_noaccent": ("duckdb", ["CREATE TABLE own (k VARCHAR COLLATE NOACCENT, n INTEGER)"], "accent"),
    "hsqldb_ignorecase": ("hsqldb", ["CREATE TABLE own (k VARCHAR_IGNORECASE(20) PRIMARY KEY, n INTEGER)"], "case"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "source", "strategy"),
    [
        pytest.param(name, source, strategy, id=f"{name}-{source}-{strategy}",
                     marks=[*mark(OWN_TABLES, (name, source, strategy)),
                            *([] if (source, strategy) == ("sqlite", "upsert") and name in QUICK_OWN
                              else [pytest.mark.all_pairs])])
        for name in COARSE for source in ("postgresql", "mariadb", "sqlite") for strategy in STRATEGIES
    ],
)  # fmt: skip
@pytest.mark.sample(2, rest="all_pairs")
def test_a_coarser_table_of_ones_own(site: Callable[[str, str], Site], name: str, source: str, strategy: str) -> None:
    dest, statements, pair = COARSE[name]
    place = site(source, dest)
    one, two = (literal(source, text) for text in ALIKE[pair])
    fill_source(place.source, "t", EXACT[source], [(1, one, 1), (2, two, 2)])
    place.dest.execute(*statements)
    place.modules({"own": module("t", strategy)})
    for run in (1, 2):
        place.set_clock(run)
        outcome = place.run(["own"])["own"]
        if outcome.error:
            assert outcome.refuses(r"\bk\b"), outcome.error
            return
    rows = found(place, "own")
    assert [row[0].rstrip() if pair != "blank" else row[0] for row in rows] == sorted(ALIKE[pair]), rows


#: Values that the source takes for one key although they are written differently: source, type, the two literals.
SAME = {
    "numeric": ("postgresql", "numeric", "1.0", "1.00"),
    "numeric_large": ("postgresql", "numeric", "100", "1e2"),
    "float_zero": ("postgresql", "double precision", "'-0'", "0"),
    "timestamptz": ("postgresql", "timestamptz", "'2024-01-01 00:00:00+00'", "'2024-01-01 02:00:00+02'"),
    "char": ("postgresql", "char(5)", "'a'", "'a    '"),
    "timetz": ("postgresql", "interval", "'1 mon'", "'30 days'"),
    "h2_timestamptz": ("h2", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE '2024-01-01 00:00:00+00:00'",
                       "TIMESTAMP WITH TIME ZONE '2024-01-01 02:00:00+02:00'"),
    "h2_timetz": ("h2", "TIME WITH TIME ZONE", "TIME WITH TIME ZONE '12:00:00+00:00'", "TIME WITH TIME ZONE '14:00:00+02:00'"),
    "h2_decfloat": ("h2", "DECFLOAT(20)", "1.0", "1.00"),
    "hsqldb_timestamptz": ("hsqldb", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP '2024-01-01 00:00:00+0:00'",
                           "TIMESTAMP '2024-01-01 02:00:00+2:00'"),
    "sqlite_number": ("sqlite", "NUMERIC", "1", "1.0"),
    "sqlite_untyped": ("sqlite", "", "1", "1.0"),
    "mariadb_decimal": ("mariadb", "decimal(10,2)", "1.0", "1.00"),
    "mariadb_double": ("mariadb", "double", "'-0'", "0"),
    "derby_char": ("derby", "CHAR(5)", "'a'", "'a    '"),
    "duckdb_timestamptz": ("duckdb", "TIMESTAMPTZ", "'2024-01-01 00:00:00+00'", "'2024-01-01 02:00:00+02'"),
    "duckdb_double": ("duckdb", "DOUBLE", "'-0'", "'0'"),
    "duckdb_interval": ("duckdb", "INTERVAL", "'1 month'", "'30 days'"),
}  # fmt: skip


QUICK_SAME = {("numeric", "sqlite", "upsert"), ("timestamptz", "sqlite", "upsert"), ("h2_timestamptz", "h2", "upsert")}


@pytest.mark.parametrize(
    ("name", "dest", "strategy"),
    [
        pytest.param(name, dest, strategy, id=f"{name}-{dest}-{strategy}",
                     marks=[*mark(SAME_KEY, (name, dest, strategy)),
                            *([] if (name, dest, strategy) in QUICK_SAME else [pytest.mark.all_pairs])])
        for name in SAME for dest in KINDS for strategy in STRATEGIES
    ],
)  # fmt: skip
@pytest.mark.sample(2, rest="all_pairs")
def test_one_key_written_differently_stays_one_row(
    site: Callable[[str, str], Site], name: str, dest: str, strategy: str
) -> None:
    source, type_, one, two = SAME[name]
    place = site(source, dest)
    fill_source(place.source, "t", type_, [(1, one, 1), (2, two, 2)])
    place.modules({"t": module("t", strategy)})
    for run in (1, 2):
        place.set_clock(run)
        outcome = place.run(["t"])["t"]
        if outcome.error:
            assert outcome.refuses(r"\bk\b"), outcome.error
            return
    assert [row[1] for row in found(place, "t")] == ["2"], found(place, "t")
