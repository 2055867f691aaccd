"""What Python knows of a kind of database stands in its dialect: nothing else compares with a kind's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pipekit_engine.databases.dialects import kinds

ROOT = Path(__file__).resolve().parents[2]
#: Files that may, and why.
ALLOWED = {
    "bench/__main__.py": "names of the benchmarks' sections",
    "bench/memory.py": "queries that make rows, of the benchmarks' own servers",
    "pipekit_dagster/dagster_internals/web_server.py": "Dagster's storage, told by SQLAlchemy",
    "pipekit_dagster/serve/web.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/cli/project.py": "the demo's own choice",
    "pipekit_engine/demo/main.py": "the demo's own choice",
    "pipekit_engine/demo/project.py": "the demo's own choice",
    "pipekit_engine/store/__init__.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/database.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/leadership.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/leases.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/migrations/versions/v0001_first.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/schema.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/store/snapshot.py": "the state database, told by SQLAlchemy",
    "pipekit_engine/jrunner/archive.py": "the driver whose data path an archive holds",
    "pipekit_engine/sql/parsing.py": "dialects of the SQL parser",
    "pipekit_import/tools.py": "names of programs",
    "scripts/setup.py": "the demo's own choice, and Debian's package of the server",
}


def _uses(tree: ast.AST) -> Iterator[int]:
    names = set(kinds())
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts: list[ast.AST] = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Set):
            parts = list(node.elts)
        else:
            continue
        for part in parts:
            items = part.elts if isinstance(part, (ast.Tuple, ast.List, ast.Set)) else [part]
            if any(isinstance(item, ast.Constant) and item.value in names for item in items):
                yield node.lineno  # type: ignore[attr-defined]


def test_no_comparison_with_a_kind_outside_its_dialect() -> None:
    found = []
    for folder in ("pipekit_engine", "pipekit_dagster", "pipekit_import", "pipekit_web", "scripts", "bench", "docs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in ALLOWED or "databases/dialects/" in name:
                continue
            found += [f"{name}:{line}" for line in _uses(ast.parse(path.read_text()))]
    assert found == []
