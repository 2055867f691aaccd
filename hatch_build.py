"""Compiles jrunner into the package: hatchling's build hook, and ``python hatch_build.py`` to build in place.

The jar is made from jrunner/src with the JDK's own ``javac`` and written by Python's zipfile, sorted and with fixed
times, so that the same sources and the same javac give the same bytes. Beside it goes, where the JVM can make one, a
class-data archive (AppCDS) that halves the start of a session; it belongs to one JVM build and is never required.

The jar goes into wheels and into the source tree of editable installs. No install carries an archive: ``python hatch_build.py``
and ``pipekit init`` make one on the machine where it runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "jrunner" / "src"
TARGET = ROOT / "pipekit_engine" / "_jrunner"
JAR = TARGET / "jrunner.jar"
STAMP = TARGET / "jrunner.stamp"

#: The oldest Java that jrunner runs on.
RELEASE = 11
#: Inline string concatenation starts faster than invokedynamic's; -Werror would break the build on a newer JDK's warnings.
JAVAC_FLAGS = [
    "--release",
    str(RELEASE),
    "-encoding",
    "UTF-8",
    "-g",
    "-XDstringConcat=inline",
    "-Xlint:all,-try",
    "-proc:none",
]
#: The earliest time that a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)

NO_JDK = f"""\
pipekit's JDBC runner is compiled during installation, which needs a JDK (Java {RELEASE} or newer) with 'javac'.
None was found in JAVA_HOME or on the PATH. Install one and run the installation again:
  Debian, Ubuntu:  apt-get install default-jdk-headless
  Fedora, RHEL:    dnf install java-17-openjdk-devel
  macOS:           brew install openjdk
or set JAVA_HOME to the JDK's folder."""


class BuildError(RuntimeError):
    """The jar cannot be built; the message says what to do."""


def find_javac() -> str:
    """The path of a javac that can compile for Java 11.

    :raises BuildError: when there is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "javac")] if home else []
    candidates.append("javac")
    too_old = ""
    for candidate in candidates:
        path = shutil.which(candidate)
        if path is None:
            continue
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
        version = re.search(r"javac (\d+)", answer.stdout + answer.stderr)
        if version and int(version.group(1)) >= RELEASE:
            return path
        too_old = f"\n({path} is of version {version.group(1) if version else 'unknown'}.)"
    raise BuildError(NO_JDK + too_old)


def package_version() -> str:
    """The version in pipekit_engine/_version.py, without importing the package."""
    text = (ROOT / "pipekit_engine" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r"""__version__\s*(?::[^=]*)?=\s*["']([^"']+)["']""", text)
    if found is None:
        raise BuildError("pipekit_engine/_version.py holds no __version__")
    return found.group(1)


def source_files() -> list[Path]:
    """jrunner's Java sources, sorted."""
    files = sorted(SOURCES.rglob("*.java"))
    if not files:
        raise BuildError(f"no Java sources in {SOURCES}")
    return files


def fingerprint(files: list[Path]) -> str:
    """A hash over everything that the jar depends on, so that an unchanged jar is kept."""
    digest = hashlib.sha256(" ".join([package_version(), *JAVAC_FLAGS]).encode())
    for file in files:
        digest.update(file.relative_to(SOURCES).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def build(force: bool = False) -> Path:
    """Makes the jar if its sources changed since the last time, and returns its path.

    :raises BuildError: when there is no JDK, or the sources do not compile.
    """
    files = source_files()
    stamp = fingerprint(files)
    if not force and JAR.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == stamp:
        return JAR
    javac = find_javac()
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jrunner-build-") as folder:
        classes = Path(folder) / "classes"
        listing = Path(folder) / "sources.txt"
        listing.write_text("".join(f'"{file.as_posix()}"\n' for file in files), encoding="utf-8")
        command = [javac, *JAVAC_FLAGS, "-d", str(classes), f"@{listing}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise BuildError(f"jrunner does not compile ({javac}):\n{answer.stdout}{answer.stderr}")
        write_jar(classes)
    # The archive belongs to the old jar; a JVM would ignore it, at the price of a warning.
    for archive in TARGET.glob("*.js*"):
        archive.unlink(missing_ok=True)
    STAMP.write_text(stamp, encoding="utf-8")
    return JAR


def write_jar(classes: Path) -> None:
    """Packs the classes into the jar, which appears whole or not at all: sessions may be reading the old one."""
    manifest = (
        "Manifest-Version: 1.0\r\n"
        "Main-Class: jrunner.Main\r\n"
        "Implementation-Title: jrunner\r\n"
        f"Implementation-Version: {package_version()}\r\n\r\n"
    )
    entries = [("META-INF/MANIFEST.MF", manifest.encode())]
    for file in sorted(classes.rglob("*.class"), key=lambda path: path.relative_to(classes).as_posix()):
        entries.append((file.relative_to(classes).as_posix(), file.read_bytes()))
    temporary = JAR.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, content in entries:
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            jar.writestr(info, content)
    temporary.replace(JAR)


def make_archive() -> Path | None:
    """Makes the class-data archive for the jar and the Java that is found now; None where that Java cannot."""
    sys.path.insert(0, str(ROOT))
    try:
        from pipekit_engine.databases.class_archive import make_class_archive
    except ImportError:  # without what pipekit needs at run time
        return None
    finally:
        sys.path.pop(0)
    return make_class_archive(JAR)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # python hatch_build.py, without hatchling
    pass
else:

    class JrunnerBuildHook(BuildHookInterface[Any]):
        """Puts the compiled jar into wheels; source distributions carry the sources instead."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Called by hatchling before it packs; ``version`` is ``standard`` or ``editable``."""
            if self.target_name != "wheel":
                return
            try:
                jar = build()
            except BuildError as error:
                # hatchling prints a traceback for exceptions; people need the message.
                self.app.abort(str(error))
                return
            if version != "editable":
                build_data["force_include"][str(jar)] = "pipekit_engine/_jrunner/jrunner.jar"
                if drivers := os.environ.get("PIPEKIT_WHEEL_DRIVERS"):  # scripts/wheel.py
                    build_data["force_include"][drivers] = "pipekit_engine/_drivers"


def main() -> int:
    """``python hatch_build.py [--force]``: builds in place."""
    try:
        print(build(force="--force" in sys.argv[1:]))
        archive = make_archive()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    if archive is not None:
        print(archive)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
