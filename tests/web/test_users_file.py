"""The users file when several change it at one time: nothing is lost, and there is always an admin."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipekit_engine.errors import ConfigurationError
from pipekit_web.server.auth import ANYONE, Users, users_file
from pipekit_web.server.people import change_user, take_user_away
from tests.web.conftest import PASSWORD, Site

#: Waits until all are there, so that they change the file at one time.
_ADDS = """
import os, sys
from pipekit_engine.config import load_config
from pipekit_web.server import auth
auth._SCRYPT["n"] = 2**8
config = load_config(sys.argv[1])
print("there", flush=True)
sys.stdin.readline()
for number in range(15):
    auth.set_password(config, f"{sys.argv[2]}{number}", "correct horse", "viewer")
"""


def test_what_two_processes_change_at_one_time_is_all_there(site: Site) -> None:
    command = [sys.executable, "-c", _ADDS, str(site.folder / "pipekit.yaml")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with ThreadPoolExecutor(2) as pool:
        programs = [
            subprocess.Popen([*command, name], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name in ("one", "two")
        ]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "there\n"
        list(pool.map(lambda program: program.communicate("\n", timeout=100), programs))
    assert [program.returncode for program in programs] == [0, 0]
    names = {*Users(users_file(site.config)).all()}
    assert {f"{who}{number}" for who in ("one", "two") for number in range(15)} <= names


def test_two_admins_who_remove_each_other_leave_one(site: Site) -> None:
    change_user(site.config, Users(users_file(site.config)).all()["admin"], "other", PASSWORD, "admin")
    users = Users(users_file(site.config)).all()

    def remove(by: str, name: str) -> bool:
        try:
            take_user_away(site.config, users[by], name)
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        gone = list(pool.map(remove, ("admin", "other"), ("other", "admin")))
    assert gone.count(True) == 1
    assert [user.role for user in Users(users_file(site.config)).all().values()].count("admin") == 1


def test_a_file_that_cannot_be_locked_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_USERS", str(site.folder / "nowhere" / "users.json"))
    with pytest.raises(ConfigurationError, match="cannot be changed: No such file"):
        change_user(site.config, ANYONE, "x", PASSWORD, "admin")
