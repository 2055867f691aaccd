"""What an interpreter knows while it follows a script: variables, files that the script wrote, notes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from pipekit_engine.security.redact import is_secret_name
from pipekit_import import syntax
from pipekit_import.events import Account, Note, Pull, Secret
from pipekit_import.expand import Expander
from pipekit_import.lexer import Redirect, ShellSyntaxError
from pipekit_import.values import Spot, Text, Unknown, Value, joined, named, plain, shown

if TYPE_CHECKING:
    from pipekit_import.tree import Tree

#: What a command reads or prints: a value, a Pull whose rows flow, None when it is not known.
Stream = Value | Pull | None


class State:
    """The variables and files of one script with its arguments."""

    def __init__(self, tree: Tree, script: str, arguments: tuple[str | None, ...] = ()) -> None:
        self.tree = tree
        self.account = Account(script, arguments)
        self._file = script
        self._folder = os.path.dirname(script)
        self._variables: dict[str, Value] = {}
        self._functions: dict[str, tuple[str, syntax.Function]] = {}
        self._written: dict[str, Value] = {}
        self._exports: dict[str, Pull] = {}
        spot = Spot(script, 1)
        self._positional: list[Value] = [
            (Text(text, spot),) if text is not None else (Unknown("$n", spot),) for text in arguments
        ]
        self._depth = 0
        self._expander = Expander(self._lookup, self._substitute, self._set)

    def _block(self, nodes: list[syntax.Node], stdin: Stream, *, capture: bool = False) -> Stream:
        """Follow commands; what they print."""
        raise NotImplementedError

    # Variables

    def _lookup(self, name: str, spot: Spot) -> Value | None:
        if name.isdigit():
            number = int(name)
            if number == 0:
                return (Text("./" + os.path.basename(self.account.script), spot),)
            return self._positional[number - 1] if number <= len(self._positional) else ()
        if name in ("@", "*"):
            parts: list[Value] = []
            for value in self._positional:
                parts += [(Text(" ", spot),)] if parts else []
                parts.append(value)
            return joined(tuple(part for value in parts for part in value))
        if name == "BASH_SOURCE":
            return (Text("./" + os.path.basename(self._file), spot),)
        if name == "#":
            return (Text(str(len(self._positional)), spot),)
        if name == "$":
            return (Text("$$", spot),)
        if name == "PWD":
            return (Text("/" + self._folder, spot),)
        return self._variables.get(name)

    def _set(self, name: str, value: Value) -> None:
        text = plain(value)
        if text and is_secret_name(name) and value and isinstance(value[0], Text) and value[0].spot:
            self.account.secrets.append(Secret(value[0].spot, name, text))
        self._variables[name] = named(value, name)

    def _note(self, spot: Spot, text: str, *, blocking: bool = False) -> None:
        note = Note(spot, text, blocking)
        if note not in self.account.notes:
            self.account.notes.append(note)

    def _substitute(self, text: str, spot: Spot) -> Value:
        match = re.fullmatch(r"\s*<\s*(\S+)\s*", text)
        if match:
            content = self._content(self._expander.text(match[1], spot), spot)
            return _chomp(content) if content is not None else (Unknown(f"$({text})", spot),)
        try:
            nodes = syntax.parse(text, spot.line)
        except ShellSyntaxError:
            return (Unknown(f"$({text})", spot),)
        before = self._file
        self._file = spot.file
        output = self._block(nodes, None, capture=True)
        self._file = before
        if output is None or isinstance(output, Pull):
            return (Unknown(f"$({text})", spot),)
        return _chomp(output)

    # Files

    def _redirected(self, redirects: list[Redirect], stdin: Stream) -> tuple[Stream, str | None]:
        """What a command reads, and the file that its output goes to."""
        output = None
        for redirect in redirects:
            spot = Spot(self._file, redirect.target.line)
            if redirect.body is not None:
                body_spot = Spot(self._file, redirect.body_line)
                if redirect.literal:
                    stdin = (Text(redirect.body, body_spot),)
                else:
                    stdin = self._expander.text(redirect.body, body_spot, document=True)
            elif redirect.operator == "<<<":
                stdin = self._expander.expand(redirect.target, self._file)
            elif redirect.operator == "<":
                path = self._expander.expand(redirect.target, self._file)
                stdin = self._exports.get(self._key(path)) or self._content(path, spot)
            elif redirect.operator in (">", ">>", ">|") and redirect.fd in (None, 1):
                output = self._key(self._expander.expand(redirect.target, self._file))
                if redirect.operator == ">>":
                    output = None if output not in self._written else output
        return stdin, output

    def _write(self, file: str | None, output: Stream) -> Stream:
        if file is None:
            return output
        if isinstance(output, Pull):
            self._exports[file] = output
        elif output is not None:
            self._written[file] = output
        return ()

    def _key(self, path: Value) -> str:
        text = shown(path)
        return os.path.normpath(text if text.startswith("/") else os.path.join("/", self._folder, text))

    def _content(self, path: Value, spot: Spot) -> Value | None:
        """What a file holds: one that the script wrote, or one of the imported folder."""
        written = self._written.get(self._key(path))
        if written is not None:
            return written
        text = plain(path)
        file = self.tree.find(text, self._folder) if text else None
        return (Text(self.tree.read(file), Spot(file, 1)),) if file else None


def _chomp(value: Value) -> Value:
    """Without the newlines at its end, as `$(...)` gives it."""
    if value and isinstance(value[-1], Text):
        last = value[-1]
        return joined((*value[:-1], Text(last.text.rstrip("\n"), last.spot)))
    return value
