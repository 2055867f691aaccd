"""Build a wheel for machines that have neither a JDK nor drivers: jrunner's jar, and the drivers of the databases met most.

    python scripts/wheel.py [--to dist]

The drivers come from where the set-up put them, else by Maven, in the pinned versions; each jar's SHA-256 is checked. Beside each
lies its licence, as the jar holds it or as `scripts/licences` does.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from setup import JARS, ROOT, Driver, _jar_by_maven, known_drivers, say

BUNDLED = ("sqlite", "postgresql", "mariadb", "h2")
LICENCES = ROOT / "scripts" / "licences"


def bundle(folder: Path) -> None:
    """Fill a folder with the drivers' jars, their licences, and a list of what they are."""
    lines = ["Drivers of others, as they publish them.", ""]
    for driver in known_drivers():
        if driver.kind not in BUNDLED:
            continue
        shutil.copyfile(_checked(driver), folder / driver.file_name)
        notices = _notices(driver, folder / "licences" / Path(driver.file_name).stem)
        lines += [
            driver.coordinate,
            f"  licence: {driver.licence}; {', '.join(notices)}",
            f"  SHA-256: {driver.sha256}",
            "",
        ]
    (folder / "NOTICE.txt").write_text("\n".join(lines), encoding="utf-8")


def _checked(driver: Driver) -> Path:
    """The driver's jar, fetched where it is not there. Exits when it cannot be had, or is another than the pinned one."""
    jar = JARS / driver.file_name
    if not jar.exists():
        maven = shutil.which("mvn")
        if maven is None or not _jar_by_maven(maven, driver):
            sys.exit(f"wheel: {driver.coordinate} cannot be had: is mvn on the PATH? Or put the jar into {JARS}.")
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != driver.sha256:
        sys.exit(f"wheel: {jar} is not {driver.coordinate}: its SHA-256 is {found}, and {driver.sha256} was expected.")
    return jar


def _notices(driver: Driver, folder: Path) -> list[str]:
    """Put the licences and notices beside the jar; their names. Exits when there is none."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(JARS / driver.file_name) as jar:
        held = [name for name in jar.namelist() if Path(name).name.upper().startswith(("LICENSE", "NOTICE", "COPYING"))]
        for name in (name for name in held if not name.endswith("/")):
            (folder / name.replace("META-INF/", "").replace("/", "-")).write_bytes(jar.read(name))
    for name in driver.licence.split(" or "):
        if (text := LICENCES / f"{name}.txt").exists():
            shutil.copyfile(text, folder / text.name)
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        sys.exit(f"wheel: {driver.coordinate} holds no licence, and {LICENCES} has no {driver.licence}.txt.")
    return names


def _uncommitted() -> list[str]:
    """Files of the packages that differ from what is committed, or are not under version control."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain", "--", "pipekit_*", "jrunner", "definitions"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [line[3:] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def main() -> None:
    """Build the wheel, and print its path."""
    parser = argparse.ArgumentParser(description="Build a wheel with drivers.")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", metavar="DIR")
    options = parser.parse_args()
    if changed := _uncommitted():
        say(f"the wheel holds what is not committed: {', '.join(changed[:5])}{' ...' if len(changed) > 5 else ''}")
    with tempfile.TemporaryDirectory(prefix="pipekit-wheel-") as name:
        drivers, built = Path(name) / "drivers", Path(name) / "built"
        drivers.mkdir()
        bundle(drivers)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        environment = {**os.environ, "PIPEKIT_WHEEL_DRIVERS": str(drivers)}
        subprocess.run([*command, "--wheel-dir", str(built), str(ROOT)], check=True, env=environment)
        (wheel,) = built.glob("pipekit-*.whl")
        options.to.mkdir(parents=True, exist_ok=True)
        print(shutil.move(wheel, options.to / wheel.name))


if __name__ == "__main__":
    main()
