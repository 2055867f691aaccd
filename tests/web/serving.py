"""`pipekit web` as a process of its own, for tests with a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import lasting_port

#: `pipekit web`.
PAGES = (sys.executable, "-m", "pipekit_engine.cli.main", "web")


def pages_environment() -> dict[str, str]:
    """The environment of `PAGES` that names no project."""
    left_out = ("PIPEKIT_CONFIG", "PIPEKIT_USERS")
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "PYTHONPATH": str(Path(__file__).parents[2])
    }


@contextmanager
def serving_pages(config_file: Path, answering: str = "") -> Iterator[str]:
    """The pages of a project: their address, once the page `answering` is there for whoever has no login."""
    port = lasting_port()
    env = pages_environment()
    if config_file.exists():
        env["PIPEKIT_CONFIG"] = str(config_file)
    process = subprocess.Popen([*PAGES, "--port", str(port)], env=env, cwd=config_file.parent)
    url = f"http://127.0.0.1:{port}/pipekit/"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url + answering, timeout=5).close()
                break
            except urllib.error.URLError:
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)
