"""Follows a shell script without running it: variables, files it writes, loops over known lists, functions, conditions.

Whatever depends on a run is kept as such (a watermark's query, a date) or noted as not understood. No process is started, and no
file outside of the imported folder is read.
"""

from __future__ import annotations

import fnmatch
import os
import re

from pipekit_import import syntax
from pipekit_import.conditions import EmptyTest, empty_test, is_harmless_test
from pipekit_import.events import Account, Pull, ScriptCall
from pipekit_import.lexer import ShellSyntaxError, Word
from pipekit_import.loads import Loads
from pipekit_import.programs import CLIENTS
from pipekit_import.state import Stream
from pipekit_import.texts import lines_of
from pipekit_import.tools import MOVERS, spaced
from pipekit_import.values import Spot, Text, Value, joined, plain, shown, with_default

_DEPTH = 12
_MAX_ROUNDS = 500
_WRAPPERS = {"exec", "nice", "nohup", "time", "command", "sudo", "env", "timeout", "ionice", "flock", "stdbuf"}
_SHELLS = {"sh", "bash", "ksh", "dash", "ksh93"}


class Interpreter(Loads):
    """One script with its arguments."""

    def run(self) -> Account:
        """Follow the script to its end. What cannot be read is noted."""
        try:
            nodes = syntax.parse(self.tree.read(self.account.script))
            for command in syntax.walk(nodes):
                if _mentions_data(command) or (command.words and command.words[0].raw.strip('"').startswith("$")):
                    self.account.present.add(Spot(self.account.script, command.line))
            self._block(nodes, None)
        except ShellSyntaxError as error:
            self._note(Spot(self._file, error.line), f"cannot be read from here on: {error}", blocking=True)
        except RecursionError:
            self._note(Spot(self._file, 1), "calls itself without end", blocking=True)
        return self.account

    def follow(self, nodes: list[syntax.Node]) -> None:
        """Follow commands that stand in no script, such as a crontab's."""
        self._block(nodes, None)

    # Structure. Each method gives what is printed.

    def _block(self, nodes: list[syntax.Node], stdin: Stream, *, capture: bool = False) -> Stream:
        self._depth += 1
        if self._depth > _DEPTH * 4:
            raise RecursionError
        printed: list[Value] = []
        last: Stream = ()
        for node in nodes:
            last = self._node(node, stdin, capture=capture)
            if isinstance(last, tuple):
                printed.append(last)
        self._depth -= 1
        if last is None or isinstance(last, Pull):
            return last
        return joined(tuple(part for value in printed for part in value))

    def _node(self, node: syntax.Node, stdin: Stream, *, capture: bool) -> Stream:
        if isinstance(node, syntax.Simple):
            return self._simple(node, stdin, capture=capture)
        if isinstance(node, syntax.Pipeline):
            flowing: Stream = stdin
            for i, command in enumerate(node.commands):
                flowing = self._node(command, flowing, capture=capture or i + 1 < len(node.commands))
            return flowing
        if isinstance(node, syntax.AndOr):
            return self._and_or(node, stdin, capture=capture)
        if isinstance(node, syntax.If):
            return self._if(node, stdin, capture=capture)
        if isinstance(node, syntax.For):
            return self._for(node)
        if isinstance(node, syntax.While):
            return self._while(node, stdin)
        if isinstance(node, syntax.Case):
            return self._case(node)
        if isinstance(node, syntax.Function):
            self._functions[node.name] = (self._file, node)
            return ()
        # In a subshell `cd` ends with it; in { } it does not, which hardly anybody relies on.
        folder = self._folder
        given, output_file = self._redirected(node.redirects, stdin)
        output = self._block(node.body, given, capture=capture or output_file is not None)
        self._folder = folder
        return self._write(output_file, output)

    def _moves_data(self, nodes: list[syntax.Node], seen: tuple[str, ...] = ()) -> bool:
        for command in syntax.walk(nodes):
            if _mentions_data(command):
                return True
            name = command.words[0].raw.strip("\"'") if command.words else ""
            if name.startswith("$"):
                name = (plain(self._expander.expand(command.words[0], self._file)) or "").partition(" ")[0]
                if os.path.basename(name) in CLIENTS:
                    return True
            if name in (".", "source"):
                return True
            if (
                name in self._functions
                and name not in seen
                and self._moves_data(self._functions[name][1].body, (*seen, name))
            ):
                return True
            if name and (os.path.basename(name) in MOVERS or self._called_script(command) is not None):
                return True
        return False

    def _and_or(self, node: syntax.AndOr, stdin: Stream, *, capture: bool) -> Stream:
        tested = empty_test(node.first)
        output = self._node(node.first, stdin, capture=capture)
        for operator, other in node.rest:
            if tested is not None and isinstance(other, syntax.Simple) and other.assignments:
                if tested.empty == (operator == "&&"):
                    self._defaults(tested, [other])
                tested = None
                continue
            if operator == "||" and not self._moves_data([other]):
                continue  # what is done about a failure
            if operator == "&&" and is_harmless_test(node.first) is False and self._moves_data([other]):
                self._note(
                    Spot(self._file, _line(node.first)), "what follows runs only under a condition", blocking=True
                )
            output = self._node(other, stdin, capture=capture)
        return output

    def _defaults(self, tested: EmptyTest, body: list[syntax.Node]) -> None:
        """`if [ -z "$X" ]; then X=value; fi`: value is what X is when it is empty."""
        for command in syntax.walk(body):
            for assignment in command.assignments:
                value = self._expander.expand(assignment.value, self._file)
                old = self._variables.get(assignment.name)
                if assignment.name != tested.name or old is None or not old:
                    self._set(assignment.name, value)
                elif (default := plain(value)) is not None:
                    self._variables[assignment.name] = with_default(old, default)
            if command.words and not command.assignments:
                self._node(command, None, capture=False)

    def _if(self, node: syntax.If, stdin: Stream, *, capture: bool) -> Stream:
        output: Stream = ()
        for condition, body in node.branches:
            tested = empty_test(condition[-1]) if condition else None
            if tested is not None:
                if tested.empty:
                    if self._moves_data(body):
                        self._conditional(condition, node.line)
                        self._block(body, stdin, capture=capture)
                    else:
                        self._defaults(tested, body)
                        continue
                elif self._moves_data(body):
                    self._block(body, stdin, capture=capture)  # only when there is something: the usual case
                else:
                    self._block(body, stdin, capture=capture)
                continue
            asks = self._moves_data(condition)
            if asks:
                self._block(condition, stdin)
            if not self._moves_data(body):
                continue
            if not asks:
                self._conditional(condition, node.line)
            output = self._block(body, stdin, capture=capture)
        if self._moves_data(node.otherwise):
            if any(self._moves_data(body) for _, body in node.branches):
                self._note(Spot(self._file, node.line), "which branch runs is decided in each run", blocking=True)
            output = self._block(node.otherwise, stdin, capture=capture)
        return output

    def _conditional(self, condition: list[syntax.Node], line: int) -> None:
        if not condition or is_harmless_test(condition[-1]) is not True:
            self._note(Spot(self._file, line), "what follows runs only under a condition", blocking=True)

    def _for(self, node: syntax.For) -> Stream:
        values: list[Value] = list(self._positional)
        if node.words is not None:
            values = [value for word in node.words for value in self._globbed(word)]
        for value in values[:_MAX_ROUNDS]:
            if plain(value) is None and self._moves_data(node.body):
                self._note(
                    Spot(self._file, node.line), f"loops over {shown(value)}, which only a run tells", blocking=True
                )
            self._variables[node.name] = value
            self._block(node.body, None)
        return ()

    def _globbed(self, word: Word) -> list[Value]:
        found: list[Value] = []
        for value in self._expander.fields(word, self._file):
            text = plain(value)
            if text is None or not set(text) & set("*?["):
                found.append(value)
                continue
            pattern = text.rstrip("/")
            base = self._folder
            if pattern.startswith("/"):
                head, _, tail = pattern.rpartition("/")
                here = self.tree.find_folder(head, self._folder)
                base, pattern = (self._folder, pattern) if here is None else (here, tail)
            folder = self.tree.root / base
            matches = sorted(folder.glob(pattern.removeprefix("./"))) if not pattern.startswith("/") else []
            matches = [match for match in matches if match.is_dir() or not text.endswith("/")]
            end = "/" if text.endswith("/") else ""
            spot = Spot(self._file, word.line)
            found += [(Text(str(match.relative_to(folder)) + end, spot),) for match in matches]
        return found

    def _while(self, node: syntax.While, stdin: Stream) -> Stream:
        given, _ = self._redirected(node.redirects, stdin)
        reader = node.condition[-1] if node.condition else None
        names, separator = _read_names(reader)
        if names and isinstance(given, tuple):
            rounds = 0
            for line in lines_of(given):
                text = plain(line)
                if text is None or not text.strip():
                    continue
                rounds += 1
                if rounds > _MAX_ROUNDS:
                    break
                fields = text.split(separator, len(names) - 1) if separator else text.split(None, len(names) - 1)
                for i, name in enumerate(names):
                    part = fields[i].strip() if i < len(fields) else ""
                    self._variables[name] = (Text(part, line[0].spot if line else None),) if part else ()
                self._block(node.body, None)
            return ()
        if self._moves_data(node.body):
            self._note(
                Spot(self._file, node.line), "loops until something changes: that is not followed", blocking=True
            )
            self._block(node.body, None)
        return ()

    def _case(self, node: syntax.Case) -> Stream:
        word = plain(self._expander.expand(node.word, self._file))
        for patterns, body in node.branches:
            texts = [plain(self._expander.expand(pattern, self._file)) for pattern in patterns]
            if word is not None and any(text is not None and fnmatch.fnmatchcase(word, text) for text in texts):
                return self._block(body, None)
        if word is None and any(self._moves_data(body) for _, body in node.branches):
            self._note(Spot(self._file, node.line), "which case applies is decided in each run", blocking=True)
        return ()

    # Commands

    def _simple(self, node: syntax.Simple, stdin: Stream, *, capture: bool) -> Stream:
        given, output_file = self._redirected(node.redirects, stdin)
        local: dict[str, Value] = {}
        for assignment in node.assignments:
            value = self._expander.expand(assignment.value, self._file)
            if assignment.append:
                value = joined(self._variables.get(assignment.name, ()) + value)
            if node.words:
                local[assignment.name] = value
            else:
                self._set(assignment.name, value)
        if not node.words:
            return self._write(output_file, given if given is not stdin else ())
        self.account.reached.add(Spot(self._file, node.line))
        values: list[Value] = []
        for word in node.words:
            values += self._expander.fields(word, self._file)
        values = [value for value in values if value != ()] or [()]
        spot = Spot(self._file, node.line)
        output = self._command(node, values, given, local, spot, capture=capture or output_file is not None)
        return self._write(output_file, output)

    def _command(
        self,
        node: syntax.Simple,
        values: list[Value],
        stdin: Stream,
        local: dict[str, Value],
        spot: Spot,
        *,
        capture: bool,
    ) -> Stream:
        while len(values) > 1 and os.path.basename(plain(values[0]) or "") in _WRAPPERS:
            values = _unwrapped(values)
        name = plain(values[0]) or ""
        program = os.path.basename(name)
        arguments = values[1:]
        if any(plain(value) == "-scu" for value in arguments):
            return self._jrunner(arguments, spot, capture=capture)
        if program in CLIENTS:
            return self._client(program, arguments, stdin, local, spot, capture=capture)
        if program in self._functions:
            return self._call_function(program, arguments, stdin, capture=capture)
        if program in (".", "source"):
            return self._source(arguments, spot)
        if program == "eval":
            text = plain(spaced(arguments))
            return self._block(syntax.parse(text, spot.line), stdin, capture=capture) if text is not None else None
        script = self._called_script(node, values)
        if script is not None:
            texts = tuple(plain(value) for value in (arguments[1:] if program in _SHELLS else arguments))
            self.account.calls.append(ScriptCall(spot, script, texts))
            return ()
        return self._builtin(program, arguments, stdin, spot)

    def _called_script(self, node: syntax.Simple, values: list[Value] | None = None) -> str | None:
        if values is None:
            words = [word.raw for word in node.words[:2]]
            if not any(word.endswith((".sh", ".ksh", ".bash", '.sh"')) for word in words):
                return None
            values = [self._expander.expand(word, self._file) for word in node.words[:2]]
        if not values:
            return None
        name = plain(values[0]) or ""
        if os.path.basename(name) in _SHELLS and len(values) > 1:
            name = plain(values[1]) or ""
        if not name:
            return None
        found = self.tree.find(name, self._folder)
        return found if found in self.tree.scripts else None

    def _call_function(self, name: str, arguments: list[Value], stdin: Stream, *, capture: bool) -> Stream:
        file, function = self._functions[name]
        before = self._positional, self._file
        self._positional, self._file = arguments, file
        output = self._block(function.body, stdin, capture=capture)
        self._positional, self._file = before
        return output

    def _source(self, arguments: list[Value], spot: Spot) -> Value | None:
        text = plain(arguments[0]) if arguments else None
        file = self.tree.find(text, self._folder) if text else None
        if file is None:
            self._note(
                spot, f"the file {shown(arguments[0]) if arguments else ''} is not here: what it sets is not known"
            )
            return ()
        self.account.sourced.add(file)
        before = self._file
        self._file = file
        try:
            self._block(syntax.parse(self.tree.read(file)), None)
        except ShellSyntaxError as error:
            self._note(Spot(file, error.line), f"cannot be read from here on: {error}")
        self._file = before
        return ()


def _mentions_data(command: syntax.Simple) -> bool:
    """Whether a command speaks of a program that moves rows or runs SQL; those in `$(...)` of an assignment are no loads."""
    text = " ".join(word.raw for word in command.words)
    return re.search(r"-scu\b|\bjrunner\b|(?:^|[\s/\"'(`])(?:psql|mysql|mariadb|sqlite3)\b", text) is not None


def _line(node: syntax.Node) -> int:
    return next((command.line for command in syntax.walk([node])), 1)


def _unwrapped(values: list[Value]) -> list[Value]:
    """`nice -n 10 jrunner ...` -> `jrunner ...`."""
    program = os.path.basename(plain(values[0]) or "")
    rest = values[1:]
    while rest:
        word = plain(rest[0])
        if word is not None and word.startswith("-"):
            takes = (program, word) in {
                ("nice", "-n"),
                ("sudo", "-u"),
                ("ionice", "-c"),
                ("flock", "-w"),
                ("timeout", "-k"),
            }
            rest = rest[2:] if takes else rest[1:]
        elif (program == "env" and word is not None and re.match(r"\w+=", word)) or (
            program in ("timeout", "flock")
            and word is not None
            and (program == "flock" or re.fullmatch(r"[\d.]+[smhd]?", word))
        ):
            rest = rest[1:]
            if program == "flock":
                break
        else:
            break
    return rest


def _read_names(node: syntax.Node | None) -> tuple[list[str], str | None]:
    """The names of `IFS=: read -r a b`, and the separator."""
    if not isinstance(node, syntax.Simple) or not node.words or node.words[0].raw != "read":
        return [], None
    names = [word.raw for word in node.words[1:] if not word.raw.startswith("-")]
    separator = None
    for assignment in node.assignments:
        if assignment.name == "IFS":
            separator = assignment.value.raw.strip("\"'$").replace("\\t", "\t") or None
    return names, separator
