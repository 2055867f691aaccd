"""Gets the jar of a driver by the way that is there: Debian's package, Maven, or a Maven repository.

    installed = install(Request("postgresql"), config, say=print)

Nothing is put in place that was not checked. A jar comes to a temporary file in the folder where it will stand, and takes its
name in one step: a folder never holds half a jar.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pipekit_engine.config import BUNDLED_JARS, DEBIAN_JARS
from pipekit_engine.databases.dialects import JdbcDriver, driver_record, find_jars, known_driver
from pipekit_engine.databases.jars.download import Repository
from pipekit_engine.errors import ConfigurationError, RuntimeMissing
from pipekit_engine.security.secrets import Secrets, reference_key

if TYPE_CHECKING:
    from pipekit_engine.config import Config

Way = Literal["debian", "maven", "repository"]
WAYS: tuple[Way, ...] = get_args(Way)
#: What is said of a jar that needed no way at all.
ALREADY = "it was there already"
_MAVEN_TIMEOUT_S = 600
_APT_TIMEOUT_S = 900

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is wanted: a kind's driver, or the one whose artifact has that name.

    `version` and `folder` are None for the default ones; `sha256` is what the caller knows of the jar.
    """

    kind: str
    version: str | None = None
    folder: Path | None = None
    sha256: str | None = None

    @property
    def driver(self) -> JdbcDriver:
        """The driver whose jar is wanted. Raises NotFoundError for a name that is no kind's and no artifact's."""
        return known_driver(self.kind)[1]

    @property
    def chosen_version(self) -> str:
        """The version that Maven is asked for."""
        return self.version or self.driver.version

    @property
    def pin(self) -> str | None:
        """The SHA-256 that the jar must have, if it is known."""
        known = self.sha256 or (self.driver.sha256 if self.chosen_version == self.driver.version else None)
        return known.lower() if known else None


@dataclass(frozen=True)
class Installed:
    """A jar that is in place: how it came (None: it was there), and what was checked."""

    path: Path
    way: Way | None
    checked: str


def obstacle(way: Way, request: Request, config: Config) -> str | None:
    """Why a way is closed; None when it is open."""
    if way == "debian":
        return _debian_obstacle(request, config)
    if way == "maven":
        return None if shutil.which("mvn") else "mvn is not on the PATH"
    if config.maven_repository is None:
        return "the config names no `maven_repository:`"
    return None


def install(request: Request, config: Config, *, way: Way | None = None, say: Say = lambda _: None) -> Installed:
    """Put the driver's jar in place, by `way` or by the first one that works.

    A jar that is there already and has the wanted checksum is left alone. Raises RuntimeMissing naming each way and why it did
    not work; ConfigurationError for a folder that cannot be written.
    """
    if (way is None or request.pin) and way != "debian" and (there := _already(request, config)):
        return there
    problems = []
    for candidate in [way] if way else WAYS:
        closed = obstacle(candidate, request, config)
        if closed:
            problems.append(f"{candidate}: {closed}")
            continue
        try:
            return _INSTALLERS[candidate](request, config, say)
        except RuntimeMissing as error:
            if way:
                raise
            problems.append(f"{candidate}: {error}")
            say(f"{candidate} did not work: {error}")
    driver = request.driver
    raise RuntimeMissing(
        f"The {request.kind} driver could not be installed.\n"
        + "".join(f"  {problem}\n" for problem in problems)
        + f"Download {driver.coordinate(request.chosen_version)} yourself, put it into "
        f"{target_folder(request, config)} (or any folder under `jars:` in the config), or register it with "
        f"`pipekit drivers register {request.kind} --jar FILE`."
    )


def target_folder(request: Request, config: Config) -> Path:
    """Where the jar goes: the folder asked for, else the first configured one."""
    if request.folder is not None:
        return request.folder.absolute()
    own = [folder for folder in config.jar_folders if folder != BUNDLED_JARS]
    return own[0] if own else DEBIAN_JARS


def commands(way: Way, request: Request, config: Config) -> str:
    """What a way would do, for people (`run ...`, `download ...`); without secrets."""
    driver, version = request.driver, request.chosen_version
    if way == "debian":
        return f"run {' '.join(_apt(request))}"
    if way == "maven":
        return (
            f"run {' '.join(_maven(request, Path('FOLDER')))}, then put the jar into {target_folder(request, config)}"
        )
    return f"download {_repository(config).address(driver.path(version))} into {target_folder(request, config)}"


# Debian


def _debian_obstacle(request: Request, config: Config) -> str | None:
    if request.driver.debian is None:
        return f"Debian has no package of the {request.kind} driver"
    if request.version is not None:
        return "a package has the version that it has; --version is for maven and repository"
    if request.sha256 is not None:
        return "Debian checks its packages by signatures; --sha256 is for maven and repository"
    if request.folder is not None and request.folder.absolute() != DEBIAN_JARS:
        return f"packages put jars into {DEBIAN_JARS}; --to is for maven and repository"
    if DEBIAN_JARS not in config.jar_folders:
        return f"packages put jars into {DEBIAN_JARS}, which is not among `jars:` in the config"
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    if os.geteuid() != 0:
        return "apt-get needs root"
    return None


def _apt(request: Request, *, simulate: bool = False) -> list[str]:
    assert request.driver.debian is not None
    options = ["--simulate"] if simulate else ["--yes"]
    return ["apt-get", "install", *options, "--no-install-recommends", request.driver.debian]


def simulate_debian(request: Request) -> list[str]:
    """What apt-get says that it would do. Raises RuntimeMissing when it would fail."""
    return _run(_apt(request, simulate=True), _APT_TIMEOUT_S).splitlines()


def _install_debian(request: Request, config: Config, say: Say) -> Installed:
    command = _apt(request)
    say(f"Running {' '.join(command)}")
    _run(command, _APT_TIMEOUT_S)
    assert request.driver.debian_jar is not None
    jar = DEBIAN_JARS / request.driver.debian_jar
    if not jar.is_file():
        raise RuntimeMissing(f"{request.driver.debian} is installed, but {jar} is not there.")
    _check_is_driver(jar, request.driver)
    return Installed(jar, "debian", "checked by Debian's signature")


# Maven


def _maven(request: Request, folder: Path) -> list[str]:
    coordinate = request.driver.coordinate(request.chosen_version)
    # --strict-checksums: by itself Maven only warns about a broken download.
    return ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "dependency:copy", f"-Dartifact={coordinate}",
            f"-DoutputDirectory={folder}"]  # fmt: skip


def _install_maven(request: Request, config: Config, say: Say) -> Installed:
    name = request.driver.file_name(request.chosen_version)
    with _workspace(request, config) as folder:
        command = _maven(request, folder)
        say(f"Running {' '.join(command)}")
        _run(command, _MAVEN_TIMEOUT_S, cwd=folder)
        jar = folder / name
        if not jar.is_file():
            raise RuntimeMissing(f"mvn ended well, but left no {name}.")
        found = _sha256(jar)
        checked = (
            "checked: SHA-256 as expected" if request.pin else "checked by Maven, against the repository's own checksum"
        )
        if request.pin and found != request.pin:
            raise _mismatch(name, "SHA-256", request.pin, found)
        return Installed(_put(jar, request, config), "maven", checked)


# A repository


def _repository(config: Config) -> Repository:
    assert config.maven_repository is not None
    url = config.maven_repository
    if reference_key(url):
        url = Secrets.of(config).resolve(url)
    return Repository.at(url)


def _install_repository(request: Request, config: Config, say: Say) -> Installed:
    repository = _repository(config)
    driver, version = request.driver, request.chosen_version
    path, name = driver.path(version), driver.file_name(version)
    with _workspace(request, config) as folder:
        jar = folder / name
        say(f"Downloading {repository.address(path)}")
        found = repository.fetch(path, jar)
        if request.pin:
            if found != request.pin:
                raise _mismatch(name, "SHA-256", request.pin, found)
            return Installed(_put(jar, request, config), "repository", "checked: SHA-256 as expected")
        told = repository.checksum(path)
        if told is None:
            raise RuntimeMissing(
                f"{name} {version} is not pinned, and the repository keeps no checksum beside it, so nothing says that it is "
                f"the right one. If you know it is, say so with --sha256 {found}"
            )
        kind, wanted = told
        actual = found if kind == "sha256" else _digest(jar, kind)
        if actual != wanted:
            raise _mismatch(name, kind.upper(), wanted, actual)
        checked = f"checked against the repository's own {kind} only: this version is not pinned"
        return Installed(_put(jar, request, config), "repository", checked)


_INSTALLERS: dict[Way, Callable[[Request, Config, Say], Installed]] = {
    "debian": _install_debian,
    "maven": _install_maven,
    "repository": _install_repository,
}


# Files


def _already(request: Request, config: Config) -> Installed | None:
    if request == Request(request.kind):  # any version will do, anywhere
        registered = driver_record(request.kind)
        with suppress(RuntimeMissing):
            return Installed(find_jars(registered, config.jar_folders)[0], None, ALREADY)
    jar = target_folder(request, config) / request.driver.file_name(request.chosen_version)
    if request.pin and jar.is_file() and _sha256(jar) == request.pin:
        return Installed(jar, None, f"checked: SHA-256 as expected; {ALREADY}")
    return None


@contextmanager
def _workspace(request: Request, config: Config) -> Iterator[Path]:
    """A temporary folder on the file system where the jar will stand."""
    folder = target_folder(request, config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(dir=folder, prefix=".install-")
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror}. Name another folder with --to, and list it under `jars:` in the "
            "config."
        ) from None
    with work as name:
        yield Path(name)


def _put(jar: Path, request: Request, config: Config) -> Path:
    _check_is_driver(jar, request.driver)
    target = target_folder(request, config) / jar.name
    with jar.open("rb") as file:
        os.fsync(file.fileno())
    jar.chmod(0o644)
    jar.replace(target)
    return target


def _check_is_driver(jar: Path, driver: JdbcDriver) -> None:
    """Raise RuntimeMissing for a file that is no driver, such as the error page of a proxy."""
    wanted = f"{driver.class_name.replace('.', '/')}.class"
    try:
        with zipfile.ZipFile(jar) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        raise RuntimeMissing(f"{jar.name}: what came is no jar (the page of a proxy?).") from None
    if wanted not in names:
        raise RuntimeMissing(f"{jar.name}: what came is a jar, but it holds no {driver.class_name}.")


def _sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _mismatch(name: str, kind: str, wanted: str, found: str) -> RuntimeMissing:
    return RuntimeMissing(
        f"{name} is not the right one: its {kind} is {found}, and {wanted} was expected. It was thrown away."
    )


def _run(command: list[str], timeout_s: float, cwd: Path | None = None) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=environment,
            cwd=cwd,
        )
    except OSError as error:
        raise RuntimeMissing(f"{command[0]} cannot be started: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise RuntimeMissing(f"{command[0]} did not end within {timeout_s:g} s.") from None
    if done.returncode:
        raise RuntimeMissing(f"{command[0]} ended with status {done.returncode}: {_complaint(done.stdout)}")
    return done.stdout


def _complaint(output: str) -> str:
    lines = [_COLOURS.sub("", line).strip().removeprefix("[ERROR]").strip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    told = [line for line in lines if line.startswith(("E:", "error"))] or lines[:1]
    return told[0][:600] if told else "it said nothing"
