"""The pages in a real browser: Chromium loads them from a real server, runs their scripts, and finds nothing to refuse."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from pipekit_web.server.auth import users_file
from tests.conftest import unavailable
from tests.web.conftest import Site
from tests.web.serving import serving_pages

pytestmark = pytest.mark.slow
PAGES = [
    "",
    "modules",
    "modules/items",
    "runs",
    "runs/1",
    "groups/good",
    "connections/dw",
    "edit/modules/items",
    "history",
]


@pytest.fixture
def served(site: Site) -> Iterator[str]:
    """The site's address, served to this machine without a login."""
    users_file(site.config).unlink()
    site.add_run("items", rows_read=12, timings={"stage": 1.0, "merge": 2.0})
    assert site.config.path is not None
    with serving_pages(site.config.path) as url:
        yield url


def look(url: str, width: int, *more: str) -> tuple[str, str]:
    """The page's elements once its scripts have run, and what the browser said of it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        unavailable("Chromium is not installed; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}"),
                *("--enable-logging=stderr", "--virtual-time-budget=1500", f"--window-size={width},800", *more),
                *("--dump-dom", url),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_each_page_and_refuses_nothing_of_it(served: str, width: int) -> None:
    for page in PAGES:
        elements, said = look(served + page, width)
        assert said == "", f"{page}: {said}"
        assert elements.count("<h1") == 1, page
        shown = re.findall(r"<time[^>]*>([^<]*)</time>", elements)
        assert not [moment for moment in shown if "UTC" in moment], "the script shows moments in the reader's own zone"
