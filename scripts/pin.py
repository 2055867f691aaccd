"""Write constraints.txt: one pinned version of every package, for every Python that pipekit supports.

    python scripts/pin.py python3.10 python3.11 python3.12 python3.13

Each named Python resolves the project's dependencies with its own pip (nothing is installed), and the answers are
joined; where they differ, the line carries an environment marker. The file holds names and versions only: where
packages come from is the business of pip's own configuration. The script itself needs Python 3.11 or newer.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "constraints.txt"
HEADER = "# Made by scripts/pin.py: the versions that the tests ran with. Names and versions only.\n"
#: What `pip install --no-build-isolation -e .` needs besides the declared build backend.
BUILD = ["editables", "setuptools", "wheel"]


def requirements() -> list[str]:
    """Return all that pyproject.toml asks for: build backend, dependencies and every extra."""
    data: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = data["project"]
    wanted = [*data["build-system"]["requires"], *BUILD, *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += [item for item in extra if not item.startswith(project["name"] + "[")]
    return wanted


def resolve(python: str, wanted: list[str]) -> tuple[tuple[int, int], dict[str, str]]:
    """Ask one Python's pip what it would install into an empty environment."""
    version = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    major, minor = (int(part) for part in version.stdout.split())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", report, *wanted],
            check=True,
        )
        installs = json.loads(report.read_text("utf-8"))["install"]
    pins = {canonical(item["metadata"]["name"]): item["metadata"]["version"] for item in installs}
    return (major, minor), pins


def canonical(name: str) -> str:
    """Return a distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(pins_of: dict[tuple[int, int], dict[str, str]]) -> list[str]:
    """Join the answers: a plain line where all agree, else one line for each run of Pythons with the same answer."""
    pythons = sorted(pins_of)
    out = []
    for name in sorted({name for pins in pins_of.values() for name in pins}):
        versions = {python: pins_of[python][name] for python in pythons if name in pins_of[python]}
        if len(set(versions.values())) == 1:
            # A package that some Pythons do not need is no harm to them: a constraint installs nothing.
            out.append(f"{name}=={next(iter(versions.values()))}")
            continue
        runs: list[list[tuple[int, int]]] = []
        for python in versions:
            if runs and versions[runs[-1][0]] == versions[python]:
                runs[-1].append(python)
            else:
                runs.append([python])
        for number, run in enumerate(runs):
            marker = []
            if number > 0:
                marker.append('python_version >= "{}.{}"'.format(*run[0]))
            if number < len(runs) - 1:
                marker.append('python_version < "{}.{}"'.format(*runs[number + 1][0]))
            out.append(f"{name}=={versions[run[0]]} ; {' and '.join(marker)}")
    return out


def main() -> int:
    pythons = sys.argv[1:]
    if not pythons:
        print(__doc__, file=sys.stderr)
        return 2
    wanted = requirements()
    with ThreadPoolExecutor(max_workers=2) as pool:
        pins_of = dict(pool.map(lambda python: resolve(python, wanted), pythons))
    TARGET.write_text(HEADER + "\n".join(lines(pins_of)) + "\n", "utf-8")
    print(f"{TARGET.name}: {len(lines(pins_of))} lines for Python {', '.join(f'{a}.{b}' for a, b in sorted(pins_of))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
