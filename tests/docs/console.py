"""Runs the `console` blocks of a page in one shell, as a reader would type them, and compares what they print."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipekit_engine.common.processes import ProcessName
from tests.docs.pages import Block

#: Seconds that a command may take. An idle machine needs some fifteen for the slowest: only what never ends is too slow.
TIMEOUT_S = 240


@dataclass(frozen=True)
class Command:
    """What stands after a `$ `, and the lines below it."""

    line: int
    text: str
    shown: tuple[str, ...]


def commands(block: Block) -> list[Command]:
    """The commands of a block; a command goes on in lines that begin with `> `."""
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif not found:
            raise AssertionError(f"{block.page}:{number}: a console block begins with `$ `")
        elif line.startswith("> ") and not found[-1][2]:
            found[-1][1].append(line[2:])
        else:
            found[-1][2].append(line)
    return [Command(number, "\n".join(text), tuple(shown)) for number, text, shown in found]


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the printed lines are those shown, where `...` stands for anything."""
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


class Shell:
    """A shell in a folder, with `pipekit` on its PATH and nothing else of this machine's pipekit in its environment.

    What lies in `programs` goes before everything else on the PATH.
    """

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIPEKIT_", "DAGSTER_", "JRUNNER_"))}
        folders = [str(programs)] if programs else []
        path = os.pathsep.join([*folders, str(Path(sys.executable).parent), kept.get("PATH", "")])
        settings = {"PATH": path, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "120", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=kept | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        # A server that a page started ends its own services, which are in sessions of their own. All of it must be gone: what
        # comes next reads the files that they write.
        shell = self._process.pid
        family = [ProcessName.of(pid) for pid in (shell, *_descendants(shell))]
        for number, which in (
            (signal.SIGTERM, {shell, *_children(shell)}),
            (signal.SIGKILL, {each.pid for each in family}),
        ):
            for process in family:
                if process.pid in which and process.alive():
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, number)
            until = time.monotonic() + 30
            while any(process.alive() for process in family) and time.monotonic() < until:
                time.sleep(0.05)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def run(self, text: str) -> tuple[int, list[str]]:
        """Run a command; its exit status and what it printed on stdout and stderr."""
        mark = uuid.uuid4().hex
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\nprintf '\\n{mark} %s\\n' $?\n".encode())
        self._process.stdin.flush()
        printed = self._read_to(mark)
        out, _, status = printed.partition(f"\n{mark} ")
        return int(status), out.splitlines()

    def _read_to(self, mark: str) -> str:
        assert self._process.stdout is not None
        end = re.compile(rb"\n" + mark.encode() + rb" \d+\n\Z")
        data, until = b"", time.monotonic() + TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not end.search(data):
                if time.monotonic() > until or not selector.select(timeout=1):
                    assert time.monotonic() <= until, f"no end after {TIMEOUT_S} s:\n{data.decode(errors='replace')}"
                    continue
                piece = os.read(self._process.stdout.fileno(), 65536)
                assert piece, f"the shell ended:\n{data.decode(errors='replace')}"
                data += piece
        return data.decode(errors="replace")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _descendants(pid: int) -> list[int]:
    """All processes below one."""
    return [each for child in _children(pid) for each in (child, *_descendants(child))]


def play(shell: Shell, block: Block, replace: dict[str, str]) -> None:
    """Run a block's commands; AssertionError names the line of the page that is not true."""
    steps = commands(block)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        text = step.text
        for old, new in replace.items():
            text = text.replace(old, new)
        if text.startswith("echo $?"):
            continue
        asked = following is not None and following.text == "echo $?"
        status, printed = shell.run(text)
        said = "\n".join(printed)
        if asked:
            assert following is not None
            assert following.shown == (str(status),), f"{block.page}:{step.line}: exit status {status}:\n{said}"
        else:
            assert status == 0, f"{block.page}:{step.line}: exit status {status}:\n{said}"
        if step.shown:
            assert matches(step.shown, printed), f"{block.page}:{step.line}: {step.text}\nprinted:\n{said}"
