"""`pipekit drivers install` against a repository that serves a real jar, and against ones that fail."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import stat
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import GENERIC, catalogue, get_dialect, kinds
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.databases.jars.download import Repository
from pipekit_engine.databases.jars.install import Request, install, obstacle, simulate_debian
from pipekit_engine.errors import ConfigurationError, RuntimeMissing
from pipekit_engine.security.redact import STARS
from tests.cli.conftest import Project
from tests.databases.jars.conftest import H2_PATH, VERSION, Repo, answer, dripping, serve, silent

SENTINEL = "s3ntinel-pa55"


def _config(folder: Path, repo: Repo | None, **fields: object) -> Config:
    url = repo.url if repo else None
    return Config.model_validate({"jars": [folder / "jars"], "maven_repository": url, **fields})


def _request(**fields: object) -> Request:
    return Request(**{"kind": "h2", "version": VERSION, **fields})  # type: ignore[arg-type]


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "jars").rglob("*")) if (folder / "jars").exists() else []


def test_a_jar_is_downloaded_checked_and_put_in_place(tmp_path: Path, repo: Repo, h2_jar: bytes) -> None:
    said: list[str] = []
    installed = install(_request(), _config(tmp_path, repo), way="repository", say=said.append)
    assert installed.path == tmp_path / "jars" / f"h2-{VERSION}.jar"
    assert installed.path.read_bytes() == h2_jar
    assert stat.S_IMODE(installed.path.stat().st_mode) == 0o644
    assert installed.checked == "checked against the repository's own sha1 only: this version is not pinned"
    assert said == [f"Downloading {repo.url}/{H2_PATH}"]
    assert _left(tmp_path) == [f"h2-{VERSION}.jar"]


def test_the_stronger_checksum_is_taken_and_a_known_one_above_all(tmp_path: Path, repo: Repo, h2_jar: bytes) -> None:
    repo.add_jar(H2_PATH, h2_jar, checksums=("sha1", "sha256"))
    assert "own sha256" in install(_request(), _config(tmp_path, repo), way="repository").checked
    known = hashlib.sha256(h2_jar).hexdigest()
    repo.files[f"{H2_PATH}.sha256"] = b"0" * 64  # never asked for
    config = _config(tmp_path, repo, jars=[tmp_path / "other"])
    assert install(_request(sha256=known.upper()), config, way="repository").checked == "checked: SHA-256 as expected"
    asked = len(repo.seen)
    again = install(_request(sha256=known), config, way="repository")
    assert (again.way, "it was there already" in again.checked, len(repo.seen)) == (None, True, asked)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("wrong sha1", "its SHA1 is"),
        ("wrong pin", "its SHA-256 is"),
        ("no checksum", "say so with --sha256"),
        ("absent", "is not there (status 404)"),
        ("truncated", "was cut short"),
        ("page", "no jar (the page of a proxy?)"),
        ("another jar", "holds no org.h2.Driver"),
        ("broken server", "answered with status 500"),
        ("login", "refuses the login"),
        ("nobody", "could not be downloaded: [Errno"),
    ],
)
def test_nothing_is_put_in_place_that_is_not_right(
    how: str, message: str, tmp_path: Path, repo: Repo, h2_jar: bytes
) -> None:
    request = _request()
    if how == "wrong sha1":
        repo.files[f"{H2_PATH}.sha1"] = b"0" * 40
    elif how == "wrong pin":
        # The default version is pinned; the repository gives something else under its name.
        request = _request(version=None)
        repo.add_jar(request.driver.path(request.chosen_version), h2_jar)
    elif how == "no checksum":
        del repo.files[f"{H2_PATH}.sha1"]
    elif how == "absent":
        del repo.files[H2_PATH]
    elif how == "truncated":
        repo.rules[H2_PATH] = lambda handler: answer(handler, h2_jar[:1000], length=len(h2_jar))
    elif how == "page":
        repo.add_jar(H2_PATH, b"<html>Please log in</html>")
    elif how == "another jar":
        other = BytesIO()
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr("org/other/Driver.class", b"")
        repo.add_jar(H2_PATH, other.getvalue())
    elif how == "broken server":
        repo.rules[H2_PATH] = lambda handler: handler.send_error(500)
    elif how == "login":
        repo.login = "Basic nobody has it"
    elif how == "nobody":
        repo.port = 1
    with pytest.raises(RuntimeMissing) as caught:
        install(request, _config(tmp_path, repo), way="repository")
    assert message in str(caught.value)
    assert _left(tmp_path) == []


def test_an_old_jar_stays_when_the_new_one_is_not_right(tmp_path: Path, repo: Repo) -> None:
    jar = tmp_path / "jars" / f"h2-{VERSION}.jar"
    jar.parent.mkdir()
    jar.write_bytes(b"old")
    repo.files[f"{H2_PATH}.sha1"] = b"0" * 40
    with pytest.raises(RuntimeMissing):
        install(_request(), _config(tmp_path, repo), way="repository")
    assert (jar.read_bytes(), _left(tmp_path)) == (b"old", [jar.name])


def test_a_slow_server_is_given_up(tmp_path: Path, repo: Repo) -> None:
    over = threading.Event()
    try:
        repo.rules[H2_PATH] = silent(over)
        with pytest.raises(RuntimeMissing, match="timed out"):
            Repository.at(repo.url).fetch(H2_PATH, tmp_path / "jar", silence_s=0.2)
        repo.rules[H2_PATH] = dripping(over)
        with pytest.raises(RuntimeMissing, match=r"did not arrive within 0\.2 s"):
            Repository.at(repo.url).fetch(H2_PATH, tmp_path / "jar", silence_s=60, deadline_s=0.2)
    finally:
        over.set()


def test_a_redirect_is_followed_without_the_login(tmp_path: Path, repo: Repo, h2_jar: bytes) -> None:
    elsewhere = Repo()
    elsewhere.add_jar(H2_PATH, h2_jar)
    server = serve(elsewhere)

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{elsewhere.url}/{H2_PATH}")
        handler.end_headers()

    repo.rules[H2_PATH] = redirect
    repo.login = "Basic " + base64.b64encode(f"ci:{SENTINEL}".encode()).decode()
    url = repo.url.replace("//", f"//ci:{SENTINEL}@")
    try:
        config = _config(tmp_path, None, maven_repository=url)
        installed = install(_request(), config, way="repository")
    finally:
        server.shutdown()
        server.server_close()
    assert installed.path.read_bytes() == h2_jar
    assert [login for _, login in elsewhere.seen] == [None]
    assert {login for _, login in repo.seen} == {repo.login}


def test_a_repository_s_password_is_never_told(tmp_path: Path, repo: Repo) -> None:
    repo.login = "Basic another"
    secrets = tmp_path / "secrets.env"
    secrets.write_text(f"MAVEN=http://ci:{SENTINEL}@127.0.0.1:{repo.port}/maven2\n")
    config = _config(tmp_path, None, maven_repository="$MAVEN", secrets=secrets)
    said: list[str] = []
    with pytest.raises(RuntimeMissing) as caught:
        install(_request(), config, say=said.append, way="repository")
    assert "refuses the login" in str(caught.value)
    assert SENTINEL not in str(caught.value) + str(said)
    with pytest.raises(RuntimeMissing) as wrong:
        Repository.at(f"ftp://ci:{SENTINEL}@host/m2")
    assert SENTINEL not in str(wrong.value)
    assert STARS in str(wrong.value)


def test_a_file_repository_serves_too(tmp_path: Path, repo: Repo) -> None:
    for name, content in repo.files.items():
        path = tmp_path / "mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    config = _config(tmp_path, None, maven_repository=f"file://{tmp_path}/mirror")
    assert "own sha1" in install(_request(), config, way="repository").checked


MAVEN = """#!/bin/sh
# Maven as far as pipekit calls it: copies the artifact from a local repository, or fails as Maven does.
echo "$@" > "{folder}/called"
for argument; do
    case $argument in
        -Dartifact=com.h2database:h2:{version}) found=yes ;;
        -DoutputDirectory=*) into=${{argument#*=}} ;;
    esac
done
if [ -z "$found" ]; then
    printf '\\033[1m[ERROR]\\033[0m Could not find artifact in central\\n'
    exit 1
fi
cp {jar} "$into/h2-{version}.jar"
"""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, h2_jar: bytes) -> Path:
    """A folder that is the whole PATH's start, with a program `mvn`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    assert h2_jar
    (folder / "mvn").write_text(MAVEN.format(folder=folder, version=VERSION, jar="/usr/share/java/h2.jar"))
    (folder / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_maven_brings_the_jar(tmp_path: Path, maven: Path, h2_jar: bytes) -> None:
    config = _config(tmp_path, None)
    installed = install(_request(), config)  # Debian has no --version: Maven is the first way that is open
    assert (installed.way, installed.path.read_bytes()) == ("maven", h2_jar)
    called = (maven / "called").read_text()
    assert "--strict-checksums dependency:copy -Dartifact=com.h2database:h2:2.1.214 -DoutputDirectory=" in called
    assert _left(tmp_path) == [f"h2-{VERSION}.jar"]
    with pytest.raises(RuntimeMissing, match="its SHA-256 is"):
        install(_request(sha256="0" * 64), config, way="maven")


@pytest.mark.usefixtures("maven")
def test_a_way_that_fails_gives_way_to_the_next(tmp_path: Path, repo: Repo, h2_jar: bytes) -> None:
    repo.add_jar("com/h2database/h2/9.9/h2-9.9.jar", h2_jar)
    said: list[str] = []
    installed = install(_request(version="9.9"), _config(tmp_path, repo), say=said.append)
    assert installed.way == "repository"
    assert "maven did not work: mvn ended with status 1: Could not find artifact in central" in said


def test_when_no_way_is_open_each_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissing) as caught:
        install(Request("sqlserver"), _config(tmp_path, None))
    message = str(caught.value)
    assert "debian: Debian has no package of the sqlserver driver" in message
    assert "maven: mvn is not on the PATH" in message
    assert "repository: the config names no `maven_repository:`" in message
    assert "Download com.microsoft.sqlserver:mssql-jdbc:" in message
    assert "pipekit drivers register sqlserver --jar FILE" in message


@pytest.mark.skipif(not shutil.which("apt-get"), reason="this system has no package manager of Debian's")
def test_debian_s_way_as_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request("h2")
    lines = simulate_debian(request)
    assert any("libh2-java" in line or "newly installed" in line for line in lines)
    config = Config(jars=[Path("/usr/share/java")])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert obstacle("debian", request, config) == "apt-get needs root"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert obstacle("debian", request, config) is None
    assert "not among `jars:`" in (obstacle("debian", request, _config(tmp_path, None)) or "")
    assert "--version" in (obstacle("debian", _request(), config) or "")
    monkeypatch.setattr(H2, "drivers", (replace(H2.drivers[0], debian="no-such-package-of-pipekit"),))
    with pytest.raises(RuntimeMissing, match="Unable to locate package"):
        simulate_debian(request)


def test_a_folder_that_cannot_be_written(tmp_path: Path, repo: Repo) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        install(_request(folder=tmp_path / "file"), _config(tmp_path, repo), way="repository")


def test_every_kind_but_the_generic_one_has_a_driver() -> None:
    for _, driver in catalogue():
        assert driver.licence
        # The jar is found under its name when it stands in a configured folder.
        assert driver.is_file(driver.file_name(driver.version)), driver
        assert driver.debian_jar is None or driver.is_file(driver.debian_jar)
        assert re.fullmatch(r"[0-9a-f]{64}", driver.sha256)
    assert [kind for kind in kinds() if not get_dialect(kind).drivers] == [GENERIC]


def _write_config(project: Project, url: str) -> None:
    project.write("pipekit.yaml", f"database: pipekit.db\njars: [jars]\nmaven_repository: {url}\n")


def test_the_command_installs_and_registers(empty: Project, repo: Repo) -> None:
    _write_config(empty, repo.url)
    assert empty.look("init").status == 0
    done = empty.look("drivers", "install", "h2", "--version", VERSION, "--from", "repository", "--json")
    assert done.status == 0, done.err
    assert done.json["jar"] == str(empty.folder / "jars" / f"h2-{VERSION}.jar")
    assert done.json["use"] == "Driver h2 uses it."
    assert "Licence of the h2 driver: MPL-2.0 or EPL-1.0" in done.err
    listed = {item["name"]: item for item in empty.look("drivers", "list", "--json").json}
    assert listed["h2"]["found"] == [done.json["jar"]]
    again = empty.look("drivers", "install", "h2")
    assert (again.status, "it was there already" in again.out) == (0, True)
    # A folder that is not searched: the driver is told where the jar is.
    other = empty.look("drivers", "install", "h2", "--version", VERSION, "--from", "repository", "--to", "elsewhere")
    assert (other.status, "Driver h2 is registered with it instead of" in other.out) == (0, True)
    listed = {item["name"]: item for item in empty.look("drivers", "list", "--json").json}
    assert listed["h2"]["found"] == [str(empty.folder / "elsewhere" / f"h2-{VERSION}.jar")]


def test_the_command_s_refusals(empty: Project, repo: Repo) -> None:
    _write_config(empty, repo.url)
    unknown = empty.look("drivers", "install", "postgres")
    assert (unknown.status, "Did you mean 'postgresql'?" in unknown.err) == (2, True)
    assert empty.look("drivers", "install", "h2", "--from", "somewhere").status == 2
    assert empty.look("drivers", "install", "h2", "--version", "../../x").status == 2
    assert empty.look("drivers", "install", "h2", "--sha256", "abc").status == 2
    dry = empty.look("drivers", "install", "h2", "--from", "repository", "--dry-run")
    assert (dry.status, f"would download {repo.url}/com/h2database/h2/" in dry.out) == (0, True)
    assert not (empty.folder / "jars").exists()
    missing = empty.look("drivers", "install", "h2", "--version", "0.1", "--from", "repository")
    assert (missing.status, "is not there (status 404)" in missing.err) == (2, True)


def test_a_jar_of_one_s_own_is_registered(empty: Project, h2_jar: bytes) -> None:
    empty.write("pipekit.yaml", "database: pipekit.db\njars: [jars]\n")
    (empty.folder / "mine.jar").write_bytes(h2_jar)
    assert empty.look("init").status == 0
    done = empty.look("drivers", "register", "mine", "--kind", "h2", "--jar", "./mine.jar", "--class", "org.h2.Driver")
    assert (done.status, "Registered driver mine (h2)" in done.out) == (0, True)
    missing = empty.look("drivers", "register", "mine", "--jar", "./not-there.jar")
    assert (missing.status, "not-there.jar" in missing.err) == (2, True)
