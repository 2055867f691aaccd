"""What the command looks like: complete, explained, and quick to answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from pipekit_engine.cli.main import app
from tests.cli.conftest import Project

#: Every command, so that none comes or goes unnoticed.
COMMAND_NAMES = """
init doctor apply pull export schema run run-group backfill partitions check cancel unlock modules groups schedules
set-password serve web demo
runs:list runs:show runs:tail runs:prune connections:list connections:test connections:certify drivers:list drivers:register
drivers:install lint import-scripts wizard backup restore support-bundle
token:create token:list token:revoke
agent:status agent:stop tables:fix secrets:set secrets:list secrets:unset
"""


def walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All commands with their full names."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child_name, child in children.items():
        yield from walk(child, f"{name}:{child_name}" if name else child_name)


COMMANDS = dict(walk(get_command(app)))


def test_every_command_is_there() -> None:
    assert sorted(COMMANDS) == sorted(COMMAND_NAMES.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_parameter_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_answers_in_a_blink(arguments: list[str]) -> None:
    """It imports nothing heavy: each of these takes longer than all else that it does."""
    heavy = "('sqlalchemy', 'alembic', 'dagster', 'pydantic', 'yaml', 'croniter', 'dotenv', 'pipekit_engine.models')"
    program = "import atexit, sys; from pipekit_engine.cli.main import main\n"
    program += f"atexit.register(lambda: print('heavy:', [name for name in {heavy} if name in sys.modules]))\nmain()"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_version_and_usage(empty: Project) -> None:
    from pipekit_engine import __version__

    assert empty("--version").out.strip() == __version__
    assert empty("nonsense").status == 2
    assert empty("run").status == 2
    assert empty("run", "--nonsense", "x").status == 2
    assert "Usage: pipekit runs" in empty("runs", "--help").out


def test_a_run_imports_what_it_needs() -> None:
    """A guard against runs that begin later, without a clock."""
    heavy = (
        "('sqlalchemy', 'alembic', 'sqlglot', 'dagster', 'ssl', 'smtplib', 'pipekit_engine.cli.wizard', "
        "'pipekit_engine.cli.definitions', 'pipekit_engine.running.alerts', 'pipekit_engine.lint')"
    )
    program = (
        "import sys; from pipekit_engine.cli.main import build; build('run')\n"
        "import pipekit_engine.engine, pipekit_engine.cli.output, pipekit_engine.cli.progress\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
        "print(len([name for name in sys.modules if name.startswith('pipekit_engine')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found, count = done.stdout.splitlines()
    assert found == "[]"
    assert int(count) <= 147


def test_a_command_that_an_agent_runs_imports_next_to_nothing() -> None:
    """All that the command itself does then is to hand itself over."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import pipekit_engine.cli.entry, pipekit_engine.agent.client\n"
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"dataclasses", "subprocess", "json", "socket"}.intersection(done.stdout.split())


def test_what_is_put_off_is_done_before_forks() -> None:
    program = (
        "import sys; from pipekit_engine.agent.forking import warm_up; from pipekit_engine.models import Module\n"
        "from pipekit_engine.config import Config\n"
        "before = Module.__pydantic_complete__; warm_up()\n"
        "print(before, Module.__pydantic_complete__, Config.__pydantic_complete__, "
        "'pipekit_engine.databases.dialects.oracle' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True"]
