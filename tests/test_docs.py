"""The pages under docs/ are true: examples run, links and names resolve, and nothing that there is stays undocumented.

The shell examples are in tests/docs/test_console.py.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml

from tests.docs.console import commands
from tests.docs.pages import DOCS, KINDS, PAGES, ROOT, Block, anchors, blocks, links, read, without_blocks

REFERENCE = DOCS / "reference"
#: Where variables that a person may set are read.
_CODE = (
    "pipekit_engine/**/*.py",
    "pipekit_dagster/**/*.py",
    "pipekit_web/**/*.py",
    "jrunner/src/**/*.java",
    "deploy/**/*",
    "deploy.sh",
)
#: Set by a test, or by one process of pipekit for another.
_INTERNAL = {"PIPEKIT_WRITE_GOLDEN", "PIPEKIT_PREPARE_SNAPSHOTS", "PIPEKIT_LEASE", "PIPEKIT_TWO_HOSTS"}


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """docs/build_reference.py as a module."""
    spec = importlib.util.spec_from_file_location("build_reference", DOCS / "build_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(builder: ModuleType) -> tuple[dict[str, str], list[str]]:
    """The pages of the reference as the code makes them now, and what they lack."""
    pages, problems = builder.build()
    return pages, problems


# The reference


def test_everything_is_described(built: tuple[dict[str, str], list[str]]) -> None:
    """Every command, option, key, table, status and phase; the list says what lacks a description."""
    assert built[1] == []


def test_the_reference_is_current(built: tuple[dict[str, str], list[str]]) -> None:
    stale = [
        name
        for name, text in built[0].items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text("utf-8") != text
    ]
    assert stale == [], "run `python docs/build_reference.py`"


def test_every_command_option_and_exit_status_is_in_the_reference(builder: ModuleType) -> None:
    page = read("docs/reference/cli.md")
    root, found = builder.commands()
    missing = [name for name in found if f"### pipekit {name}\n" not in page]
    for name, command in [("", root), *found.items()]:
        wanted = [option for item in command.params for option in builder.option_names(item)]
        missing += [f"{name} {option}" for option in wanted if f"`{option}" not in _section(page, name)]
        if name and "Exit status:" not in _section(page, name):
            missing.append(f"{name}: exit status")
    from pipekit_engine import errors

    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.PipekitError) and error is not errors.PipekitError:
            missing += [] if f"`{error.__name__}`" in page else [error.__name__]
            missing += [] if f"\n| {error.exit_status} |" in page else [f"exit status {error.exit_status}"]
    assert missing == []


def _section(page: str, command: str) -> str:
    if not command:
        return page.partition("## Options of all commands")[2].partition("\n## ")[0]
    return page.partition(f"### pipekit {command}\n")[2].partition("\n##")[0]


def test_every_key_column_and_status_is_in_the_reference(builder: ModuleType) -> None:
    from pipekit_engine.definitions.forms import keys_of
    from pipekit_engine.models import DEFINITION_KINDS as RECORDS
    from pipekit_engine.models import RECORD_TYPES, Column, Hook, Watermark
    from pipekit_engine.records.statuses import RunStatus
    from pipekit_engine.running.events import RunEvent
    from pipekit_engine.store.schema import metadata

    definitions, config = read("docs/reference/definitions.md"), read("docs/reference/config.md")
    store, events = read("docs/reference/store.md"), read("docs/reference/events.md")
    missing = [
        f"{kind}.{key}"
        for kind in RECORDS
        for key in keys_of(RECORD_TYPES[kind])
        if f"\n| `{key}` |" not in definitions.partition(f"\n## `{kind}`\n")[2].partition("\n## ")[0]
    ]
    for model in (Watermark, Hook, Column):
        where = definitions.partition(f"### A {model.__name__.lower()} of")[2].partition("\n##")[0]
        missing += [f"{model.__name__}.{key}" for key in keys_of(model) if f"\n| `{key}` |" not in where]
    missing += [key for key, _, section in builder.config_keys() if not section and f"\n| `{key}` |" not in config]
    for table in metadata.tables.values():
        where = store.partition(f"\n### {table.name}\n")[2].partition("\n### ")[0]
        missing += [f"{table.name}.{column.name}" for column in table.columns if f"\n| `{column.name}` |" not in where]
    missing += [status for status in get_args(RunStatus) if f"\n| `{status}` |" not in store]
    missing += [field.name for field in dataclasses.fields(RunEvent) if f"\n| `{field.name}` |" not in events]
    assert missing == []


def test_every_environment_variable_is_in_the_reference() -> None:
    page = read("docs/reference/environment.md")
    files = [file for pattern in _CODE for file in ROOT.glob(pattern) if file.is_file()]
    used = {name for file in files for name in re.findall(r"\b(?:PIPEKIT|JRUNNER)_[A-Z_]+\b", _text(file))}
    assert sorted(name for name in used - _INTERNAL if f"`{name}`" not in page) == []
    assert set(re.findall(r"^\| `(PIPEKIT_\w+|JRUNNER_\w+)`", page, re.MULTILINE)) <= _everywhere()


def _everywhere() -> set[str]:
    files = [file for pattern in (*_CODE, "scripts/*") for file in ROOT.glob(pattern) if file.is_file()]
    return {name for file in files for name in re.findall(r"\b(?:PIPEKIT|JRUNNER)_[A-Z_]+\b", _text(file))}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _inside(file: Path) -> str:
    return file.resolve().relative_to(ROOT).as_posix()


# Links and names

#: Pages for those who work on pipekit.
FOR_BUILDERS = ["ARCHITECTURE.md", "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", FOR_BUILDERS)
def test_every_file_that_is_named_to_builders_is_there(page: str) -> None:
    """Names in capitals (KIND.py) stand for one that is to be written."""
    files = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts and path.is_file()]
    named = re.findall(r"`([\w./-]+\.(?:py|java|md|toml))\b[^`]*`", read(page))
    missing = [
        name
        for name in named
        if not re.search(r"\b(KIND|NAME|vNNNN_name)\.", name)
        and not any(file == name or file.endswith(f"/{name}") for file in files)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "page", [*PAGES, *FOR_BUILDERS, "jrunner/README.md", *map(_inside, ROOT.glob("deploy/**/*.md"))]
)
def test_links_resolve(page: str) -> None:
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists():
            broken.append(target)
        elif anchor and file.suffix == ".md":
            broken += [] if anchor in anchors(_inside(file)) else [target]
    assert broken == []


def test_every_page_is_linked_from_the_index() -> None:
    reached, todo = set(), ["docs/index.md"]
    while todo:
        page = todo.pop()
        if page in reached or not (ROOT / page).is_file():
            continue
        reached.add(page)
        for target in links(page):
            path = target.partition("#")[0]
            if path.endswith(".md") and not re.match(r"[a-z]+:", path):
                todo.append(_inside((ROOT / page).parent / path))
    assert sorted(set(PAGES) - reached) == []


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_a_page_names_exist(page: str) -> None:
    names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", read(page))
    missing = [f"{file}::{test}" for file, test in names if not _is_test(ROOT / file, test)]
    assert missing == []


def _is_test(file: Path, name: str) -> bool:
    return file.is_file() and (not name or re.search(rf"^ *def {name}\(", _text(file), re.MULTILINE) is not None)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str) -> None:
    names = re.findall(
        r"`((?:pipekit_engine|pipekit_dagster|pipekit_web|tests|bench|deploy|scripts|docs)/[\w./-]*)`", read(page)
    )
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_commands_that_pages_name_exist(builder: ModuleType) -> None:
    """`pipekit x` in running text and in shell blocks names a command, with options that it has."""
    root, found = builder.commands()
    families = {name.split()[0] for name in found}
    everywhere = {"--help", *(option for item in root.params for option in builder.option_names(item))}
    wrong = []
    for page, words in ((item, call) for item in PAGES for call in _calls(item)):
        names = [word for word in words[1:] if not word.startswith(("-", "/"))]
        name = next((n for n in (" ".join(names[:2]), " ".join(names[:1])) if n in found), None)
        if name is None:
            if names and not (names[0] in families and len(names) == 1) and re.fullmatch(r"[a-z-]+", names[0]):
                wrong.append(f"{page}: {' '.join(words)}")
            continue
        has = everywhere | {option for item in found[name].params for option in builder.option_names(item)}
        wrong += [f"{page}: pipekit {name} {word}" for word in words if word.startswith("--") and word not in has]
    assert wrong == []


def _calls(page: str) -> Iterator[list[str]]:
    """The words of each call of pipekit in a page's shell blocks and code spans."""
    lines = [span[1] for span in re.finditer(r"`(pipekit [^`\n]+)`", without_blocks(read(page), spans=True))]
    for block in blocks(page):
        if block.language == "console":
            lines += [command.text for command in commands(block)]
        elif block.language == "sh":
            lines += block.text.splitlines()
    for line in lines:
        for part in re.split(r"[|;&)\n]|\$\(|\bdo\b|\buntil\b", line):
            words = part.partition("#")[0].split()
            start = next((i for i, word in enumerate(words) if word == "pipekit" or word.endswith("/pipekit")), None)
            if start is not None and words[start + 1 :]:
                yield words[start:]


def test_ratios_of_the_comparison_are_measured_ones() -> None:
    rows = re.findall(r"\| ([\d.]+) to ([\d.]+) \| \[\w+\.md\]\((\S+)\) \|", read("docs/comparison.md"))
    names = re.findall(r"\| (\w+) \| [\d.]+ to [\d.]+ \|", read("docs/comparison.md"))
    assert len(rows) == len(names) > 3
    for (low, high, file), other in zip(rows, names, strict=True):
        text = _text(DOCS / file)
        heading = next(line for line in text.splitlines() if line.startswith("|"))
        lines = [line for line in text.splitlines() if re.match(r"\| \S.* [\d,]+ \| [\d.]+ s", line)]
        ratios = [float(line.split(" | ")[4]) for line in lines if other in line or other in heading]
        assert ratios, f"{file} measures nothing against {other}"
        assert [ratio for ratio in ratios if not float(low) <= ratio <= float(high)] == [], f"{file}: {other}"


def test_no_page_names_a_folder_of_this_checkout() -> None:
    assert [page for page in PAGES if str(ROOT) in read(page)] == []


def test_prose_holds_no_unfinished_marks() -> None:
    marks = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|\bTBD\b")
    assert [page for page in PAGES if marks.search(without_blocks(read(page)))] == []


# Blocks


def test_the_tutorial_names_each_file_where_a_web_page_shows_it() -> None:
    """What stands behind the language of a block is not shown."""
    text = read("docs/tutorial.md")
    for block in blocks("docs/tutorial.md"):
        if block.file is not None:
            before = text[: text.index(f"```{block.language} {block.file}")].rpartition("```\n")[2]
            assert f"`{block.file}`" in before, block


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_known_kinds(page: str) -> None:
    assert [f"{block}: {block.language!r}" for block in blocks(page) if block.language not in KINDS] == []


@pytest.mark.parametrize("block", [b for page in PAGES for b in blocks(page) if b.language == "sh"], ids=str)
def test_shell_that_is_only_shown_is_shell(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page) if block.language == "yaml"], ids=str
)
def test_yaml_loads(block: Block, tmp_path: Path) -> None:
    """As definitions or as configuration. Files below no-apply/ show mistakes, which a console block runs into."""
    from pipekit_engine.config import Config
    from pipekit_engine.definitions.load import read_definitions
    from pipekit_engine.lint import lint_files
    from pipekit_engine.models import DEFINITION_KINDS as RECORDS

    if block.file is not None and block.file.startswith("no-apply/"):
        pytest.skip("shows a mistake")
    data: dict[str, Any] = yaml.safe_load(block.text)
    if set(data) & set(RECORDS):
        file = tmp_path / "page.yaml"
        file.write_text(block.text, encoding="utf-8")
        assert [str(problem) for problem in read_definitions(file).problems] == []
        found = lint_files(file, Config(database=str(tmp_path / "no.db")))
        # A page's fragment may refer to what another one defines; that they fit is seen where they are applied.
        assert [str(item) for item in found if item.level != "info" and item.code != "PK001"] == []
    elif data.get("type") == "pipekit_dagster.PipekitComponent":
        from pipekit_dagster import PipekitComponent

        PipekitComponent(**data["attributes"])
    else:
        Config.model_validate(data)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language == "python" and b.file is None for b in blocks(page))]
)
def test_python_examples_of_a_page_run_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str
) -> None:
    assert os.access(java, os.X_OK)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "docs"}
    for block in blocks(page):
        if block.language == "python" and block.file is None:
            # Blank lines before it: a failure is told with the page's own line number.
            exec(compile("\n" * (block.line - 1) + block.text, str(ROOT / page), "exec"), names)


def test_the_guarantees_name_each_strategy() -> None:
    from pipekit_engine.strategies import STRATEGIES

    rows = (DOCS / "guarantees.md").read_text(encoding="utf-8").splitlines()
    for strategy in STRATEGIES.values():
        assert f"| `{strategy.name}` | {strategy.statements} | {strategy.rerun} |" in rows
