"""The shell examples of the pages run as they stand, and print what the pages show."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.docs.console import Shell, commands, matches, play
from tests.docs.pages import PAGES, Block, blocks
from tests.docs.warm import warm_command
from tests.ports import lasting_port

#: Pages whose examples begin where the tutorial's last one ends.
TUTORIAL = "docs/tutorial.md"
GUIDES = [page for page in PAGES if page != TUTORIAL and any(block.language == "console" for block in blocks(page))]

pytestmark = [pytest.mark.usefixtures("java"), pytest.mark.timeout(900), pytest.mark.daemon]


def play_page(page: str, folder: Path, programs: Path | None = None) -> None:
    """Write the page's files and run its commands, in order."""
    # The port that the pages name may be taken here.
    replace = {"127.0.0.1:3000": f"127.0.0.1:{lasting_port()}"}
    replace["pipekit serve"] = f"pipekit serve --port {replace['127.0.0.1:3000'].rpartition(':')[2]}"
    with Shell(folder, programs) as shell:
        for block in blocks(page):
            if block.file is not None:
                path = folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                play(shell, block, replace)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a `pipekit` that starts at once."""
    with warm_command(tmp_path_factory.mktemp("bin")) as folder:
        yield folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    """The folder of a reader who has done the tutorial, at another time than its schedule's: that would add a run."""
    while "01:57" <= datetime.now(ZoneInfo("Europe/Paris")).strftime("%H:%M") <= "02:00":
        time.sleep(1)
    folder = tmp_path_factory.mktemp("tutorial")
    play_page(TUTORIAL, folder, programs)
    return folder


def test_the_tutorial(finished: Path) -> None:
    assert (finished / "pipekit.db").exists()


@pytest.mark.parametrize("page", GUIDES)
@pytest.mark.sample(2)
def test_a_guide(page: str, finished: Path, programs: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dagster"))
    play_page(page, tmp_path, programs)


def test_output_is_compared() -> None:
    assert matches(("a...z", "...", "end"), ["a to z", "x", "y", "end"])
    assert not matches(("a...z", "end"), ["a to z", "x", "end"])
    assert not matches(("a", "b"), ["a"])


def test_commands_and_what_they_print() -> None:
    block = Block("p", 1, "console", None, "$ one \\\n>   more\nprints this\n$ two\n")
    assert [(c.text, c.shown) for c in commands(block)] == [("one \\\n  more", ("prints this",)), ("two", ())]
