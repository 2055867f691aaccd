"""Follows a shell script without running it: variables, files it writes, loops over known lists, functions, conditions.

Whatever depends on a run is kept as such (a watermark's query, a date) or noted as not understood. No process is started, and no
file outside of the imported folder is read.
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from pipekit_engine.classic_import import syntax
from pipekit_engine.classic_import.conditions import EmptyTest, empty_test, is_harmless_test
from pipekit_engine.classic_import.events import Account, Note, Pull, ScriptCall, Secret, Statements
from pipekit_engine.classic_import.expand import Expander, date_value
from pipekit_engine.classic_import.lexer import Redirect, ShellSyntaxError, Word
from pipekit_engine.classic_import.programs import CLIENTS, read_client, read_jrunner
from pipekit_engine.classic_import.texts import cut, lines_of, psql_variables, sed, substitute_variables
from pipekit_engine.classic_import.values import (
    Login,
    QueryResult,
    Spot,
    Text,
    Unknown,
    Value,
    joined,
    named,
    plain,
    shown,
    with_default,
)
from pipekit_engine.redact import is_secret_name

if TYPE_CHECKING:
    from pipekit_engine.classic_import.tree import Tree

_DEPTH = 12
_MAX_ROUNDS = 500
_WRAPPERS = {"exec", "nice", "nohup", "time", "command", "sudo", "env", "timeout", "ionice", "flock", "stdbuf"}
_SHELLS = {"sh", "bash", "ksh", "dash", "ksh93"}
_FILTERS = {"tr", "head", "tail", "xargs", "awk", "cut", "grep", "sort", "uniq", "iconv", "dos2unix", "tee", "strings"}
_HARMLESS = {
    "echo", "printf", "test", "[", "[[", "true", "false", ":", "exit", "return", "trap", "sleep", "mkdir", "rm", "touch", "chmod",
    "chown", "logger", "mail", "mailx", "sendmail", "gzip", "gunzip", "find", "ls", "wait", "ulimit", "umask", "hostname",
    "whoami", "id", "wc", "kill", "getopts", "break", "continue", "unset", "alias", "stty", "tput", "clear", "mv", "cp",
    "which", "type", "popd", "pushd", "log", "curl", "wget", "let", "((", "cmp", "diff", "lockfile", "stat", "du", "df",
}  # fmt: skip
#: Programs that may move rows in ways that are not read here.
_MOVERS = {
    "sqlplus", "sqlcmd", "bcp", "isql", "tsql", "db2", "sqlldr", "python", "python3", "perl", "ruby", "php", "ssh", "scp", "sftp",
    "ftp", "lftp", "rsync", "pgloader", "pg_dump", "pg_restore", "mysqldump", "mysqlimport", "java", "aws", "gsutil", "node",
}  # fmt: skip
_COPY = re.compile(
    r"\\?\bcopy\s+(?P<table>[\w.\"]+)\s*(?:\((?P<columns>[^)]*)\))?\s+from\s+(?P<from>'[^']*'|p?stdin|\S+)[^;\n]*;?",
    re.IGNORECASE,
)


class Interpreter:
    """One script with its arguments."""

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

    # Structure. Each method gives what is printed: a value, a Pull whose rows are printed, or None when that is not known.

    def _block(
        self, nodes: list[syntax.Node], stdin: Value | Pull | None, *, capture: bool = False
    ) -> Value | Pull | None:
        self._depth += 1
        if self._depth > _DEPTH * 4:
            raise RecursionError
        printed: list[Value] = []
        last: Value | Pull | None = ()
        for node in nodes:
            last = self._node(node, stdin, capture=capture)
            if isinstance(last, tuple):
                printed.append(last)
        self._depth -= 1
        if last is None or isinstance(last, Pull):
            return last
        return joined(tuple(part for value in printed for part in value))

    def _node(self, node: syntax.Node, stdin: Value | Pull | None, *, capture: bool) -> Value | Pull | None:
        if isinstance(node, syntax.Simple):
            return self._simple(node, stdin, capture=capture)
        if isinstance(node, syntax.Pipeline):
            flowing: Value | Pull | None = stdin
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
            if name and (os.path.basename(name) in _MOVERS or self._called_script(command) is not None):
                return True
        return False

    def _and_or(self, node: syntax.AndOr, stdin: Value | Pull | None, *, capture: bool) -> Value | Pull | None:
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

    def _if(self, node: syntax.If, stdin: Value | Pull | None, *, capture: bool) -> Value | Pull | None:
        output: Value | Pull | None = ()
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

    def _for(self, node: syntax.For) -> Value | Pull | None:
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

    def _while(self, node: syntax.While, stdin: Value | Pull | None) -> Value | Pull | None:
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

    def _case(self, node: syntax.Case) -> Value | Pull | None:
        word = plain(self._expander.expand(node.word, self._file))
        for patterns, body in node.branches:
            texts = [plain(self._expander.expand(pattern, self._file)) for pattern in patterns]
            if word is not None and any(text is not None and fnmatch.fnmatchcase(word, text) for text in texts):
                return self._block(body, None)
        if word is None and any(self._moves_data(body) for _, body in node.branches):
            self._note(Spot(self._file, node.line), "which case applies is decided in each run", blocking=True)
        return ()

    # Commands

    def _redirected(
        self, redirects: list[Redirect], stdin: Value | Pull | None
    ) -> tuple[Value | Pull | None, str | None]:
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

    def _write(self, file: str | None, output: Value | Pull | None) -> Value | Pull | None:
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

    def _simple(self, node: syntax.Simple, stdin: Value | Pull | None, *, capture: bool) -> Value | Pull | None:
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
        stdin: Value | Pull | None,
        local: dict[str, Value],
        spot: Spot,
        *,
        capture: bool,
    ) -> Value | Pull | None:
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
            text = plain(_spaced(arguments))
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

    def _jrunner(self, arguments: list[Value], spot: Spot, *, capture: bool) -> Value | Pull | None:
        call = read_jrunner(arguments)
        for word in call.strange:
            self._note(spot, f"jrunner: {word} is not understood", blocking=True)
        query, query_spot = self._query(call.values.get("-sq", ()), spot)
        if call.dest is None and capture:
            text = plain(query) or ""
            if re.match(
                r"\s*select\s+(?:max|min|coalesce|count|to_char|cast|current|isnull|nvl|ifnull|date)",
                text,
                re.IGNORECASE,
            ):
                return (QueryResult(call.source, query, query_spot),)
        pull = Pull(spot, call.source, query, query_spot, call.dest, call.values.get("-dt", ()), call.flags)
        if call.dest is None:
            if not capture:
                self._note(spot, "jrunner prints rows that nothing takes")
            self.account.steps.append(pull)
            return pull
        self.account.steps.append(pull)
        return ()

    def _query(self, value: Value, spot: Spot) -> tuple[Value, Spot]:
        content = self._content(value, spot)
        if content is not None:
            first = content[0] if content else None
            return content, (first.spot if isinstance(first, Text) and first.spot else spot)
        text = shown(value)
        if not re.search(r"\s", text.strip()):
            self._note(spot, f"the query {text or '(-sq)'} is neither a file that is here nor SQL", blocking=True)
            return (Unknown(text, spot),), spot
        first = value[0] if value else None
        return value, (first.spot if isinstance(first, Text) and first.spot else spot)

    def _client(
        self,
        program: str,
        arguments: list[Value],
        stdin: Value | Pull | None,
        local: dict[str, Value],
        spot: Spot,
        *,
        capture: bool,
    ) -> Value | Pull | None:
        call = read_client(program, arguments, {**self._variables, **local}, spot)
        texts: list[tuple[Value, Spot]] = [(sql, _spot_of(sql, spot)) for sql in call.sql]
        for file in call.files:
            content = self._content(file, spot)
            if content is None:
                self._note(spot, f"{program}: the file {shown(file)} is not here", blocking=True)
            else:
                texts.append((content, _spot_of(content, spot)))
        if not texts and isinstance(stdin, tuple) and stdin:
            texts.append((stdin, _spot_of(stdin, spot)))
        if call.variables:
            texts = [(psql_variables(sql, call.variables), where) for sql, where in texts]
        if capture and len(texts) == 1 and re.match(r"\s*(?:select|with|values)\b", shown(texts[0][0]), re.IGNORECASE):
            return (QueryResult(call.login, texts[0][0], texts[0][1]),)
        for sql, where in texts:
            rest = self._copies(sql, call.login, stdin, spot)
            if shown(rest).strip(" \n;"):
                self.account.steps.append(Statements(spot, call.login, rest, where))
        return ()

    def _copies(self, sql: Value, login: Login, stdin: Value | Pull | None, spot: Spot) -> Value:
        """Take COPY ... FROM out of the SQL: it is where exported rows go."""
        match = _COPY.search(shown(sql))
        if not match:
            return sql
        origin = match["from"].strip("'")
        pull = stdin if isinstance(stdin, Pull) else self._exports.get(self._key((Text(origin),)))
        if pull is None:
            self._note(spot, f"COPY from {origin}: no jrunner call writes that", blocking=True)
            return sql
        pull.dest, pull.table = login, (Text(match["table"], spot),)
        pull.columns = tuple(name.strip().strip('"') for name in (match["columns"] or "").split(",") if name.strip())
        # The load happens here, not where the rows were exported.
        self.account.steps.remove(pull)
        before, after = cut(sql, match[0])
        if shown(before).strip(" \n;"):
            self.account.steps.append(Statements(spot, login, before, _spot_of(sql, spot)))
        self.account.steps.append(pull)
        return after

    def _call_function(
        self, name: str, arguments: list[Value], stdin: Value | Pull | None, *, capture: bool
    ) -> Value | Pull | None:
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

    def _builtin(
        self, program: str, arguments: list[Value], stdin: Value | Pull | None, spot: Spot
    ) -> Value | Pull | None:
        if program in ("export", "declare", "local", "typeset", "readonly"):
            for value in arguments:
                text = plain(value[:1]) or ""
                name, equals, rest = text.partition("=")
                if equals:
                    self._set(name, joined(((Text(rest, spot),) if rest else ()) + value[1:]))
            return ()
        if program == "cd":
            return self._cd(arguments, spot)
        if program == "shift":
            self._positional = self._positional[int(plain(arguments[0]) or 1) if arguments else 1 :]
            return ()
        if program == "set":
            return ()
        if program == "read":
            for value in arguments:
                text = plain(value) or ""
                if not text.startswith("-"):
                    self._variables[text] = (Unknown(f"${text}", spot),)
            return ()
        if program in ("echo", "printf"):
            return _printed(program, arguments)
        if program == "cat":
            return self._cat(arguments, stdin, spot)
        if program == "sed":
            return self._sed(arguments, stdin, spot)
        if program == "envsubst":
            return substitute_variables(stdin, self._expander, spot) if isinstance(stdin, tuple) else None
        if program == "date":
            words = [plain(value) for value in arguments]
            return date_value([w for w in words if w is not None], spot) if None not in words else None
        if program in ("basename", "dirname"):
            return _path_part(program, arguments, spot)
        if program in ("readlink", "realpath") and arguments:
            return arguments[-1]
        if program == "pwd":
            return (Text("/" + self._folder, spot),)
        if program == "mktemp":
            return (Text(f"/tmp/mktemp-{spot.line}", spot),)  # noqa: S108 - a name, never a file
        if program in _FILTERS:
            return stdin
        self._unknown_program(program, spot)
        return None

    def _unknown_program(self, program: str, spot: Spot) -> None:
        if program in _MOVERS:
            self._note(spot, f"{program} is not read: it may move rows or change them", blocking=True)
        elif program and program not in _HARMLESS and not program.startswith("["):
            self._note(spot, f"{program} is left out")

    def _cd(self, arguments: list[Value], spot: Spot) -> Value:
        text = plain(arguments[0]) if arguments else None
        folder = self.tree.find_folder(text, self._folder) if text else None
        if folder is None:
            if text is not None and text.startswith("/"):
                return ()  # a folder of that machine; paths are looked for by their ends
            self._note(spot, f"cd {shown(arguments[0]) if arguments else ''}: that folder is not here")
        else:
            self._folder = folder
        return ()

    def _cat(self, arguments: list[Value], stdin: Value | Pull | None, spot: Spot) -> Value | Pull | None:
        files = [value for value in arguments if not (plain(value) or "x").startswith("-") or plain(value) == "-"]
        if not files:
            return stdin
        contents: list[Value] = []
        for file in files:
            exported = self._exports.get(self._key(file))
            if exported is not None:
                return exported
            content = stdin if plain(file) == "-" and isinstance(stdin, tuple) else self._content(file, spot)
            if content is None:
                return (Unknown(f"$(cat {shown(file)})", spot),)
            contents.append(content)
        return joined(tuple(part for content in contents for part in content))

    def _sed(self, arguments: list[Value], stdin: Value | Pull | None, spot: Spot) -> Value | Pull | None:
        expressions: list[Value] = []
        files: list[Value] = []
        at = 0
        while at < len(arguments):
            word = plain(arguments[at])
            if word in ("-e", "--expression") and at + 1 < len(arguments):
                at += 1
                expressions.append(arguments[at])
            elif word is not None and word.startswith("-"):
                pass
            elif not expressions:
                expressions.append(arguments[at])
            else:
                files.append(arguments[at])
            at += 1
        if isinstance(stdin, Pull) and not files:
            return stdin
        text = self._content(files[0], spot) if files else stdin
        if not isinstance(text, tuple):
            return None
        for expression in expressions:
            changed = sed(text, expression)
            if changed is None:
                self._note(spot, f"sed {shown(expression)} is not understood")
                return (Unknown(f"$(sed {shown(expression)})", spot),)
            text = changed
        return text


def _mentions_data(command: syntax.Simple) -> bool:
    """Whether a command speaks of a program that moves rows or runs SQL; those in `$(...)` of an assignment are no loads."""
    text = " ".join(word.raw for word in command.words)
    return re.search(r"-scu\b|\bjrunner\b|(?:^|[\s/\"'(`])(?:psql|mysql|mariadb|sqlite3)\b", text) is not None


def _chomp(value: Value) -> Value:
    """Without the newlines at its end, as `$(...)` gives it."""
    if value and isinstance(value[-1], Text):
        last = value[-1]
        return joined((*value[:-1], Text(last.text.rstrip("\n"), last.spot)))
    return value


def _line(node: syntax.Node) -> int:
    return next((command.line for command in syntax.walk([node])), 1)


def _spot_of(value: Value, spot: Spot) -> Spot:
    first = value[0] if value else None
    return first.spot if isinstance(first, Text) and first.spot else spot


def _path_part(program: str, arguments: list[Value], spot: Spot) -> Value | None:
    """`basename PATH [SUFFIX]` and `dirname PATH`."""
    texts = [plain(value) for value in arguments]
    if not texts or texts[0] is None:
        return None
    path = texts[0].rstrip("/")
    if program == "dirname":
        return (Text(os.path.dirname(path) or ".", spot),)
    suffix = texts[1] if len(texts) > 1 and texts[1] else ""
    return (Text(os.path.basename(path).removesuffix(suffix), spot),)


def _spaced(values: list[Value]) -> Value:
    parts: list[Value] = []
    for value in values:
        parts += [(Text(" "),)] if parts else []
        parts.append(value)
    return joined(tuple(part for value in parts for part in value))


def _printed(program: str, arguments: list[Value]) -> Value | None:
    if program == "echo":
        words = [value for value in arguments if plain(value) not in ("-n", "-e")]
        return joined((*_spaced(words), Text("\n")))
    form = plain(arguments[0]) if arguments else None
    if form is None:
        return arguments[0] if arguments else None
    form = form.replace("\\n", "\n").replace("\\t", "\t")
    parts: list[Value] = []
    rest = list(arguments[1:])
    for i, piece in enumerate(re.split(r"%s", form)):
        if i:
            parts.append(rest.pop(0) if rest else ())
        parts.append((Text(piece),))
    return joined(tuple(part for value in parts for part in value))


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
