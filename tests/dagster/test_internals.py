"""Dagster's private parts are used in one place, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "pipekit_dagster" / "dagster_internals"
_PRIVATE = re.compile(r"\bdagster(?:_\w+)?\._|(?:from|import) dagster_(?:webserver|graphql|shared)\b")


def modules() -> list[Path]:
    """All Python files of the packages, but those that may use Dagster's private parts."""
    found = [file for package in ROOT.glob("pipekit_*") for file in package.rglob("*.py") if HOME not in file.parents]
    assert len(found) > 100
    return found


def private_attributes(tree: ast.AST) -> Iterator[str]:
    """`thing._name` where the thing is not the object or class itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if owner not in ("self", "cls") and node.attr != "_replace":  # a named tuple's own, and public
                yield f"line {node.lineno}: {ast.unparse(node)}"


def test_private_names_of_dagster_stand_in_one_place() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{number}"
        for file in modules()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if _PRIVATE.search(line)
    }
    assert not found


def test_private_attributes_of_dagsters_objects_stand_in_one_place() -> None:
    files = [file for file in modules() if "pipekit_dagster" in file.parts]
    found = {str(file.relative_to(ROOT)): [*private_attributes(ast.parse(file.read_text()))] for file in files}
    assert not {file: attributes for file, attributes in found.items() if attributes}


def test_every_private_import_says_what_to_check() -> None:
    for file in HOME.glob("*.py"):
        if file.name != "__init__.py":
            assert "Check: " in file.read_text(), file


@pytest.mark.parametrize(
    ("imported", "not_yet"),
    [
        ("pipekit_dagster.serve.supervisor", ["dagster", "fastapi", "uvicorn"]),
        (
            "pipekit_dagster.launcher, pipekit_dagster.build, pipekit_dagster.worker",
            ["dagster_webserver", "dagster_graphql", "fastapi", "uvicorn", "dagster._daemon", "dagster._cli.api"],
        ),
    ],
)
def test_what_is_not_imported(imported: str, not_yet: list[str]) -> None:
    code = f"import sys, {imported}; print(*[name for name in {not_yet} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
