"""Set up a checkout: Debian packages where apt and root are there, `.venv`, pipekit itself with jrunner's jar.

    scripts/setup.sh demo [--dest postgresql]    what `make demo` needs
    scripts/setup.sh test                        what `make test` and `make check` need: every driver, real servers

Doing nothing when nothing changed is the common case, and takes some hundredths of a second: stamps in `.venv` hold a
hash of what was installed. Only the standard library is used: this runs before there is anything else.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
JARS = VENV / "share" / "pipekit" / "jars"
#: Kinds that the tests have a database of.
RUNNING = {"derby", "duckdb", "h2", "hsqldb", "mariadb", "mysql", "postgresql", "sqlite"}
MIN_JAVA = 11
#: The build backend and what editable installs need, put into .venv first so that constraints.txt pins them too.
BUILD = ["hatchling", "editables", "setuptools", "wheel"]
EXTRAS = {"demo": ["dagster", "demo", "postgresql"], "test": ["dev"]}

DIALECTS = ROOT / "pipekit_engine" / "databases" / "dialects"
MAVEN_TIMEOUT_S = 120


class Driver(NamedTuple):
    """What `JdbcDriver` says of a driver, as far as it matters here."""

    kind: str
    files: tuple[str, ...]
    coordinate: str
    file_name: str
    sha256: str
    licence: str
    debian: str | None


def known_drivers() -> list[Driver]:
    """Read the drivers that stand in the dialects' files, each as `JdbcDriver(...)` with literal arguments.

    Nothing that could import these files is installed yet.
    """
    found = []
    for path in sorted(DIALECTS.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        # Classes hold the records in their bodies: the methods, which are most of the text, are not searched.
        classes = (
            [item for item in ast.parse(text).body if isinstance(item, ast.ClassDef)] if "JdbcDriver(" in text else []
        )
        fields = [item for each in classes for item in each.body if isinstance(item, (ast.Assign, ast.AnnAssign))]
        for node in (node for item in fields for node in ast.walk(item)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "JdbcDriver":
                given = {item.arg: ast.literal_eval(item.value) for item in node.keywords}
                artifact, version = given["artifact"], given["version"]
                coordinate = f"{given['group']}:{artifact}:{version}"
                file_name = f"{artifact}-{version}.jar"
                sha256, licence, debian = given["sha256"], given["licence"], given.get("debian")
                found.append(Driver(path.stem, given["files"], coordinate, file_name, sha256, licence, debian))
    return found


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def fail(text: str) -> NoReturn:
    print(f"setup: {text}", file=sys.stderr)
    sys.exit(1)


def run(argv: Sequence[str | Path], what: str, **options: Any) -> None:
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run([str(part) for part in argv], capture_output=True, text=True, **options)
    if done.returncode != 0:
        print(done.stdout[-4000:] + done.stderr[-4000:], file=sys.stderr)
        fail(f"{what} failed (exit status {done.returncode}): {' '.join(str(part) for part in argv)}")


# --- what the machine has -----------------------------------------------------------------------------------------


def java_problem() -> str | None:
    """Return why there is no usable JDK, or None when there is one."""
    home = os.environ.get("JAVA_HOME")
    javac = shutil.which("javac", path=os.path.join(home, "bin")) if home else None
    javac = javac or shutil.which("javac")
    if javac is None:
        java = shutil.which("java")
        return "only a Java runtime was found, without a compiler (javac)" if java else "no JDK was found"
    # Starting it takes half a second: the one that was found good is asked again only when it has changed.
    stamp, same = VENV / ".pipekit-javac", f"{os.path.realpath(javac)} {os.stat(javac).st_mtime_ns}"
    if _says(stamp, same):
        return None
    said = subprocess.run([javac, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r"javac (?:1\.)?(\d+)", said.stdout + said.stderr)
    if version is None:
        return f"{javac} does not say its version"
    if int(version[1]) < MIN_JAVA:
        return f"{javac} is Java {version[1]}"
    if VENV.is_dir():
        stamp.write_text(same)
    return None


def jar_folders() -> list[Path]:
    """Return the folders that the demo looks for JDBC jars in."""
    named = [Path(part) for part in os.environ.get("PIPEKIT_JARS", "").split(os.pathsep) if part]
    return [*named, JARS, Path("/usr/share/java")]


def has_jar(driver: Driver) -> bool:
    return any(any(folder.glob(pattern)) for folder in jar_folders() for pattern in driver.files)


def has_postgresql() -> bool:
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


def has_mariadb() -> bool:
    return bool(shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"))


def has_firebird() -> bool:
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    return all(shutil.which(program, path=path) for program in ("firebird", "isql-fb"))


def has_sshd() -> bool:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return all(shutil.which(program, path=path) for program in ("sshd", "ssh"))


def has_rabbitmq() -> bool:
    return Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists()


def has_chromium() -> bool:
    return shutil.which("chromium") is not None


def can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


# --- Debian packages ----------------------------------------------------------------------------------------------


def apt_install(packages: list[str]) -> None:
    """Install Debian packages that start no service and make no default database cluster."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    say(f"installing Debian packages: {' '.join(packages)}")
    subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=False)
    known = [
        package
        for package in packages
        if "Candidate: (none)" not in (policy := _policy(package)) and "Candidate:" in policy
    ]
    for package in sorted(set(packages) - set(known)):
        say(f"this system's package lists do not know {package}; going on without it")
    if not known:
        return
    if "postgresql" in known:
        _no_default_cluster()
    with _no_services():
        run(
            [
                "apt-get",
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                "-o",
                "Dpkg::Options::=--force-confold",
                *known,
            ],
            "apt-get install",
            env=environment,
        )


def _policy(package: str) -> str:
    return subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout


def _no_default_cluster() -> None:
    """Tell Debian's postgresql-common not to create a cluster, unless the machine has its own opinion already."""
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(
            "# written by pipekit's set-up: its tests start their own servers\ncreate_main_cluster = false\n"
        )


@contextmanager
def _no_services() -> Iterator[None]:
    """Forbid service starts while packages are installed, as invoke-rc.d's policy layer lets one do."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists() or policy.is_symlink():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


# --- the steps ----------------------------------------------------------------------------------------------------


def system_packages(profile: str, dest: str, drivers: list[Driver], *, slow: bool = False) -> None:
    """See that the JDK and (for tests) the servers are there; get them and the drivers' packages by apt where possible."""
    own_server = dest == "postgresql" and not os.environ.get("PIPEKIT_DEMO_PG_URL")

    def missing() -> list[str]:
        packages = ["default-jdk-headless"] if java_problem() else []
        packages += [driver.debian for driver in drivers if driver.debian and not has_jar(driver)]
        if (profile == "test" or own_server) and not has_postgresql():
            packages.append("postgresql")
        if profile == "test" and not has_mariadb():
            packages.append("mariadb-server")
        if profile == "test" and not has_firebird():
            packages += ["firebird3.0-server", "firebird3.0-utils"]
        if profile == "test" and not has_sshd():
            packages += ["openssh-server", "openssh-client"]
        if profile == "test" and shutil.which("redis-server") is None:
            packages.append(
                "redis-server"
            )  # with its library and tools 1.9 MB to fetch; the tests start one of their own
        if slow and not has_rabbitmq():
            packages.append("rabbitmq-server")  # with Erlang 34 MB to fetch; the tests start one of their own
        if profile == "test" and not has_chromium():
            packages.append("chromium")
        return packages

    packages = missing()
    if packages and can_apt():
        apt_install(packages)
        packages = missing()
    if not packages:
        return
    with_sudo = f"sudo apt-get install {' '.join(packages)}"
    problem = java_problem()
    if problem:
        fail(
            f"pipekit needs a JDK {MIN_JAVA} or newer, and {problem}.\n"
            f"       On Debian or Ubuntu: {with_sudo}\n"
            "       Elsewhere: install a JDK (Temurin, OpenJDK ...) and put its bin folder on PATH, or set JAVA_HOME."
        )
    if own_server and not has_postgresql():
        fail(
            "DEST=postgresql starts a PostgreSQL of its own, and no server programs (initdb, postgres) were found.\n"
            "       On Debian or Ubuntu: sudo apt-get install postgresql\n"
            "       Elsewhere: put their folder on PATH, or use a server that you have:\n"
            "       PIPEKIT_DEMO_PG_URL=postgresql://user:password@host:5432/database make demo DEST=postgresql"
        )
    if profile == "test":
        for server, there in (
            ("PostgreSQL", has_postgresql()),
            ("MariaDB", has_mariadb()),
            ("Firebird", has_firebird()),
            ("SSH", has_sshd()),
            ("RabbitMQ", not slow or has_rabbitmq()),
        ):
            if not there:
                say(f"no {server} server: its tests will be skipped ({with_sudo} mends that)")
        if not has_chromium():
            say(f"no Chromium: the tests in a browser will be skipped ({with_sudo} mends that)")


def jars(profile: str, drivers: list[Driver]) -> None:
    """See that the drivers' jars are there, by Maven where no package gave them.

    The tests load each driver in the version that `pipekit drivers install` fetches; a jar that cannot be had is asked for
    once, not at each call.
    """
    wanted = [
        driver
        for driver in drivers
        if not ((JARS / driver.file_name).exists() if profile == "test" else has_jar(driver))
    ]
    stamp = VENV / ".pipekit-jars"
    asked = "\n".join(driver.coordinate for driver in wanted)
    if wanted and not (profile == "test" and _says(stamp, asked)):
        maven = shutil.which("mvn")
        if maven is None:
            say(f"no Maven (mvn) on PATH, so these were not fetched: {', '.join(item.coordinate for item in wanted)}")
        else:
            wanted = [driver for driver in wanted if not _jar_by_maven(maven, driver)]
        if profile == "test" and wanted:
            say(f"the tests of these drivers will be skipped (to try again: rm {stamp.relative_to(ROOT)})")
            stamp.write_text("\n".join(driver.coordinate for driver in wanted))
    without = [driver for driver in wanted if not has_jar(driver)]
    if profile == "demo" and without:
        packages = " ".join(driver.debian for driver in without if driver.debian)
        fail(
            f"no JDBC driver jar was found for: {', '.join(driver.kind for driver in without)}.\n"
            f"       On Debian or Ubuntu: sudo apt-get install {packages}\n"
            f"       Elsewhere: put {' and '.join(driver.files[0] for driver in without)} "
            f"into a folder and name it: PIPEKIT_JARS=/path/to/folder make {profile}"
        )


def class_archive(drivers: list[Driver]) -> None:
    """See that the class-data archive holds these drivers, in the versions that the tests load."""
    files = [path for driver in drivers if (path := JARS / driver.file_name).exists()]
    stamp, wanted = VENV / ".pipekit-archive", digest([*files, ROOT / "pipekit_engine" / "_jrunner" / "jrunner.jar"])
    if not _says(stamp, wanted):
        say("making the class-data archive of the drivers")
        run([PYTHON.parent / "jrunner", "archive", *files], "jrunner archive", cwd=ROOT)
        stamp.write_text(wanted)


def _jar_by_maven(maven: str, driver: Driver) -> bool:
    """Fetch a jar and check it; say why when that fails."""
    say(f"getting {driver.coordinate} by Maven")
    JARS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS, prefix=".install-") as folder:
        command = [
            maven,
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact={driver.coordinate}",
            f"-DoutputDirectory={folder}",
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=folder, timeout=MAVEN_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            say(f"Maven did not get it within {MAVEN_TIMEOUT_S} s")
            return False
        jar = Path(folder) / driver.file_name
        if done.returncode != 0 or not jar.exists():
            said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            say(f"Maven could not get it: {said[0]}")
            return False
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != driver.sha256:
            say(f"thrown away: its SHA-256 is {found}, and {driver.sha256} was expected")
            return False
        jar.replace(JARS / driver.file_name)
    return True


def digest(paths: Sequence[Path], *more: str) -> str:
    """Hash files by name and content."""
    total = hashlib.sha256("\0".join(more).encode())
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0")
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def environment(profile: str) -> None:
    """Make `.venv` and install pipekit into it, editable, with everything pinned by constraints.txt."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    wanted = digest([ROOT / "pyproject.toml", ROOT / "constraints.txt"], version, "1")
    stamps = {name: VENV / f".pipekit-{name}" for name in EXTRAS}
    # What the tests need holds all that the demo needs.
    if not any(_says(stamps[name], wanted) for name in {profile, "test"}):
        _make_venv(version)
        say(f"installing Python packages for {profile} (a minute or two the first time)")
        pip: list[str | Path] = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-c",
            "constraints.txt",
        ]
        run([*pip, *BUILD], "pip install", cwd=ROOT)
        target = f".[{','.join(EXTRAS[profile])}]"
        run([*pip, "--no-build-isolation", "-e", target], "pip install", cwd=ROOT)
        _jar_stamp().unlink(missing_ok=True)  # the class-data archive is made when all packages are there
        stamps[profile].write_text(wanted)
    if not _says(_jar_stamp(), _jar_digest()) or not (ROOT / "pipekit_engine" / "_jrunner" / "jrunner.jar").exists():
        say("compiling jrunner")
        run([PYTHON, "hatch_build.py"], "compiling jrunner", cwd=ROOT)
        _jar_stamp().write_text(_jar_digest())


def _says(stamp: Path, text: str) -> bool:
    return stamp.exists() and stamp.read_text() == text


def _jar_stamp() -> Path:
    return VENV / ".pipekit-jrunner"


def _jar_digest() -> str:
    return digest(
        [path for path in (ROOT / "jrunner" / "src").rglob("*") if path.is_file()] + [ROOT / "hatch_build.py"]
    )


def _make_venv(version: str) -> None:
    """Make `.venv`, or make it anew when it belongs to another Python or is broken."""
    works = PYTHON.exists() and subprocess.run(
        [PYTHON, "-c", "import sys, pip; print('.'.join(str(part) for part in sys.version_info[:3]))"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip() == version  # fmt: skip
    if works:
        return
    if VENV.exists():
        say("making .venv anew: it belongs to another Python")
        shutil.rmtree(VENV)
    say(f"making .venv with Python {version}")
    run([sys.executable, "-m", "venv", VENV], "python -m venv")


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up this checkout.")
    parser.add_argument("profile", choices=list(EXTRAS))
    parser.add_argument("--slow", action="store_true", help="also what `make test-slow` alone wants")
    parser.add_argument("--dest", default="sqlite", choices=["sqlite", "duckdb", "postgresql"])
    options = parser.parse_args()
    needed = {"sqlite", options.dest}
    drivers = [driver for driver in known_drivers() if options.profile == "test" or driver.kind in needed]
    system_packages(options.profile, options.dest, drivers, slow=options.slow)
    environment(options.profile)
    jars(options.profile, drivers)
    if options.profile == "test":
        class_archive([driver for driver in drivers if driver.kind in RUNNING])
    return 0


if __name__ == "__main__":
    sys.exit(main())
