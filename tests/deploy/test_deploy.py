"""deploy.sh under a prefix: what it says, what it makes, that it works, that a second run changes nothing.

One installation serves the tests of this file, which run in their order. Installed is a copy of the sources, made at the start.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.ports import lasting_port

#: Seconds that anything may take. An idle machine needs some fifty for an installation: only what never comes is too late.
PATIENCE_S = 400.0

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
UNITS = ("pipekit.service", "pipekit-backup.service", "pipekit-backup.timer")


@dataclass
class Place:
    """A copy of the sources, and a prefix to install below."""

    source: Path
    prefix: Path
    port: int

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIPEKIT_", "DAGSTER_", "PYTHON"))}
        # Compiling all of Dagster is left to those who start it often. A slow network is no fault of deploy.sh.
        pip = {"PIP_NO_COMPILE": "1", "PIP_RETRIES": "10", "PIP_DEFAULT_TIMEOUT": "60"}
        return kept | {"NO_COLOR": "1", "COLUMNS": "200"} | pip

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.source / "deploy.sh"), "--prefix", str(self.prefix), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def pipekit(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.prefix / "usr/local/bin/pipekit"), *arguments],
            cwd="/",
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file outside of the program and of what running it leaves: its mode and when it was changed."""
        found = {}
        for path in sorted(self.prefix.rglob("*")):
            name = str(path.relative_to(self.prefix))
            if not name.startswith("opt/") and "pipekit.db" not in name and "/.cache" not in name and path.is_file():
                found[name] = (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns)
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    source = tmp_path_factory.mktemp("source")
    beside = shutil.ignore_patterns(".*", "__pycache__", "_jrunner", "tests", "bench", "docs", "build", "dist")
    shutil.copytree(ROOT, source, ignore=beside, dirs_exist_ok=True)
    return Place(source, tmp_path_factory.mktemp("machine") / "prefix", lasting_port())


@pytest.fixture(scope="module")
def installed(place: Place) -> Place:
    """The first run of deploy.sh that changes something."""
    if not (place.prefix / "opt").exists():
        done = place.deploy("--port", str(place.port), "--extras", "dagster")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Created the state store" in done.stdout
        assert "Registered drivers: sqlite, postgresql" in done.stdout
    return place


def test_a_dry_run_says_each_step_and_changes_nothing(place: Place) -> None:
    done = place.deploy("--dry-run")
    assert done.returncode == 0, done.stderr
    for step in ("virtual environment", "config.yaml", "secrets.env", "state store and drivers", *UNITS):
        assert any(line.startswith("would ") and step in line for line in done.stdout.splitlines()), step
    assert "nothing was changed" in done.stdout
    assert not place.prefix.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "no option --nonsense"),
        (["--port", "many"], "must be a number"),
        (["--port"], "needs a value"),
        (["--package", "/nowhere"], "neither a wheel nor a folder"),
        (["--python", "no-such-python"], "apt-get install"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(place: Place, arguments: list[str], said: str) -> None:
    done = place.deploy(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not place.prefix.exists()


@pytest.mark.slow
def test_the_installation(installed: Place) -> None:
    etc, lib = installed.prefix / "etc/pipekit", installed.prefix / "var/lib/pipekit"
    modes = {"etc/pipekit": 0o750, "etc/pipekit/config.yaml": 0o640, "etc/pipekit/secrets.env": 0o640}
    modes |= {"var/lib/pipekit": 0o750, "usr/local/bin/pipekit": 0o755, "etc/systemd/system/pipekit.service": 0o644}
    for name, mode in modes.items():
        assert stat.S_IMODE((installed.prefix / name).stat().st_mode) == mode, name
    config = yaml.safe_load((etc / "config.yaml").read_text())
    assert config["database"] == str(lib / "pipekit.db")
    assert (lib / "pipekit.db").is_file()
    doctor = installed.pipekit("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    checks = {check["name"]: check for check in json.loads(doctor.stdout)}
    assert checks["config"]["detail"] == str(etc / "config.yaml")
    assert checks["jrunner"]["detail"].startswith(str(installed.prefix / "opt/pipekit/releases"))
    # The release is what the name says: no file of it points back to the sources.
    assert installed.pipekit("--version").returncode == 0


@pytest.mark.slow
def test_a_second_run_changes_nothing_and_says_so(installed: Place) -> None:
    (installed.prefix / "etc/pipekit/config.yaml").open("a").write("# an administrator's remark\n")
    before = installed.files()
    done = installed.deploy("--extras", "dagster")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Nothing had to be changed.\n")
    assert {line.split()[0] for line in done.stdout.splitlines()[:-1]} == {"ok"}
    assert installed.files() == before


@pytest.mark.slow
def test_what_was_damaged_is_put_right(installed: Place) -> None:
    unit = installed.prefix / "etc/systemd/system/pipekit.service"
    secrets = installed.prefix / "etc/pipekit/secrets.env"
    good = unit.read_text()
    unit.write_text("broken")
    secrets.chmod(0o644)
    assert installed.pipekit("secrets", "set", "DW", "s3cret").returncode == 0
    done = installed.deploy("--extras", "dagster")
    assert done.returncode == 0, done.stderr
    assert "2 changes" in done.stdout
    assert unit.read_text() == good
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o640
    assert "s3cret" in secrets.read_text()


def test_a_worker_s_unit_is_the_server_s_but_for_its_command() -> None:
    """So what is tried of the one holds for the other."""
    server, worker = (
        [line for line in (ROOT / "deploy" / unit).read_text().splitlines() if not line.startswith("#")]
        for unit in ("systemd/pipekit.service", "celery/pipekit-worker.service")
    )
    differ = {line.partition("=")[0] for line in {*server} ^ {*worker}}
    assert differ == {"Description", "After", "ExecStart", "SyslogIdentifier", "TimeoutStopSec"}
    assert "ExecStart=/opt/pipekit/current/bin/pipekit serve --worker" in worker


@pytest.mark.slow
def test_the_units_are_sound_and_hardened(installed: Place) -> None:
    folder = installed.prefix / "etc/systemd/system"
    text = (folder / "pipekit.service").read_text()
    assert "KillMode=process" in text
    # With these, living runs would look dead, or lose their files at a restart.
    for setting in ("PrivateTmp=yes", "PrivateUsers=yes", "ProtectProc=", "ProcSubset="):
        assert not any(line.startswith(setting) for line in text.splitlines())
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    units = [str(folder / name) for name in UNITS]
    verified = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert "pipekit" not in verified.stderr, verified.stderr
    for name, most in (("pipekit.service", 25), ("pipekit-backup.service", 25)):
        command = [analyze, "security", "--offline=true", f"--threshold={most}", "--no-pager", str(folder / name)]
        judged = subprocess.run(command, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr


@pytest.mark.slow
def test_the_deployed_server_works_and_the_unit_s_backup_too(installed: Place) -> None:
    unit = (installed.prefix / "etc/systemd/system/pipekit.service").read_text().splitlines()
    command = next(line for line in unit if line.startswith("ExecStart=")).removeprefix("ExecStart=").split()
    settings = dict(line.removeprefix("Environment=").split("=", 1) for line in unit if line.startswith("Environment="))
    lib = installed.prefix / "var/lib/pipekit"
    log = lib.parent / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=lib,
            env=installed.environment() | settings,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            status, body = _get(f"http://127.0.0.1:{installed.port}/health")
            if status == 200:
                break
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        assert json.loads(body)["daemon"] == "ok"
        assert (lib / "dagster/dagster.yaml").is_file()
        kept = installed.deploy("--uninstall")
        assert kept.returncode == 1
        said = re.search("still at work: processes ([0-9 ]+)", kept.stderr)
        assert said is not None, kept.stderr
        assert str(server.pid) in said[1].split()
        assert (installed.prefix / "usr/local/bin/pipekit").exists()
        backup = (installed.prefix / "etc/systemd/system/pipekit-backup.service").read_text().splitlines()
        script = next(line for line in backup if line.startswith("ExecStart=")).partition("-c ")[2].strip("'")
        script = script.replace("$$", "$").replace("%%", "%")
        subprocess.run(["/bin/sh", "-c", script], env=installed.environment() | settings, check=True, cwd=lib)
        assert len(list((lib / "backups").glob("pipekit-20*.db"))) == 1
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE_S)


@pytest.mark.slow
def test_a_failed_installation_leaves_the_old_release_in_use(installed: Place) -> None:
    before = os.readlink(installed.prefix / "opt/pipekit/current")
    version = installed.source / "pipekit_engine/_version.py"
    good = version.read_text()
    version.write_text("this is no Python\n")
    try:
        done = installed.deploy("--extras", "dagster")
    finally:
        version.write_text(good)
    assert done.returncode == 1
    assert "goes on where it stopped" in done.stderr
    assert os.readlink(installed.prefix / "opt/pipekit/current") == before
    assert installed.pipekit("--version").returncode == 0


@pytest.mark.slow
def test_uninstalling_keeps_data(installed: Place) -> None:
    assert installed.pipekit("secrets", "set", "DW", "s3cret").returncode == 0
    done = installed.deploy("--uninstall")
    assert done.returncode == 0, done.stderr
    assert f"kept      {installed.prefix}/etc/pipekit" in done.stdout
    left = installed.files()
    assert sorted(left) == [
        name for name in sorted(left) if name.startswith(("etc/pipekit/", "var/lib/", "var/lib/serve"))
    ]
    assert (installed.prefix / "var/lib/pipekit/pipekit.db").is_file()
    assert "s3cret" in (installed.prefix / "etc/pipekit/secrets.env").read_text()
    assert not (installed.prefix / "opt/pipekit").exists()
    assert "Nothing was installed." in installed.deploy("--uninstall").stdout


def test_shellcheck_is_content() -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not here")
    scripts = [ROOT / "deploy.sh", *sorted((ROOT / "deploy").rglob("*.sh"))]
    done = subprocess.run([program, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
