"""Crontabs: when which scripts run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipekit_import import syntax
from pipekit_import.events import Note, ScriptCall
from pipekit_import.interpreter import Interpreter
from pipekit_import.lexer import ShellSyntaxError
from pipekit_import.tree import Tree
from pipekit_import.values import Spot

_SETTING = re.compile(r"\s*([A-Z_]+)\s*=\s*(.*?)\s*")
_ENTRY = re.compile(r"\s*(@\w+|(?:\S+\s+){4}\S+)\s+(.*)")


@dataclass
class Entry:
    """One line of a crontab that runs scripts of the folder. `timezone` is None when the crontab does not say."""

    cron: str
    timezone: str | None
    calls: list[ScriptCall]
    spot: Spot


def read_crontabs(tree: Tree, notes: list[Note]) -> list[Entry]:
    """The entries of all crontabs of the folder."""
    entries: list[Entry] = []
    for file in tree.crontabs:
        timezone = None
        for number, line in enumerate(tree.read(file).splitlines(), 1):
            spot = Spot(file, number)
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if setting := _SETTING.fullmatch(line):
                if setting[1] in ("CRON_TZ", "TZ"):
                    timezone = setting[2].strip("\"'")
                continue
            match = _ENTRY.fullmatch(line)
            if not match:
                notes.append(Note(spot, "is no line of a crontab"))
                continue
            cron = match[1] if match[1].startswith("@") else " ".join(match[1].split())
            calls = _calls(tree, file, match[2], spot) or _calls(tree, file, match[2].partition(" ")[2], spot)
            if not calls:
                notes.append(Note(spot, "runs nothing of this folder: left out"))
            elif cron == "@reboot":
                notes.append(Note(spot, "@reboot has no counterpart: left out"))
            else:
                entries.append(Entry(cron, timezone, calls, spot))
    return entries


def _calls(tree: Tree, file: str, command: str, spot: Spot) -> list[ScriptCall]:
    """The scripts that a command of the crontab calls (a system crontab has a user's name before it)."""
    command = re.split(r"(?<!\\)%", command)[0].replace("\\%", "%")
    follower = Interpreter(tree, file)
    try:
        follower.follow(syntax.parse(command, spot.line))
    except ShellSyntaxError:
        return []
    return follower.account.calls
