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


@contextmanager
def serving_pages(config_file: Path, answering: str = "") -> Iterator[str]:
    """The pages of a project: their address, once the page `answering` is there for whoever has no login."""
    port = lasting_port()
    env = {**os.environ, "PIPEKIT_CONFIG": str(config_file), "PYTHONPATH": str(Path(__file__).parents[2])}
    env.pop("PIPEKIT_USERS", None)
    command = [sys.executable, "-m", "pipekit_engine.cli.main", "web", "--port", str(port)]
    process = subprocess.Popen(command, env=env, cwd=config_file.parent)
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
