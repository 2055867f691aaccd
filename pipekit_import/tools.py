"""The commands of the shell and the small tools around it, as far as they decide what a load gets: echo, cat, sed, cd, date."""

from __future__ import annotations

import os
import re

from pipekit_import.events import Pull
from pipekit_import.expand import date_value
from pipekit_import.state import State, Stream
from pipekit_import.texts import sed, substitute_variables
from pipekit_import.values import Date, QueryResult, Spot, Text, Unknown, Value, joined, plain, shown

_FILTERS = {"tr", "head", "tail", "xargs", "awk", "cut", "grep", "sort", "uniq", "iconv", "dos2unix", "tee", "strings"}
#: Of these, those that only take blanks, line ends or a heading away.
_TRIMMERS = {"tr", "head", "tail", "xargs", "iconv", "dos2unix", "tee"}
_HARMLESS = {
    "echo", "printf", "test", "[", "[[", "true", "false", ":", "exit", "return", "trap", "sleep", "mkdir", "rm", "touch", "chmod",
    "chown", "logger", "mail", "mailx", "sendmail", "gzip", "gunzip", "find", "ls", "wait", "ulimit", "umask", "hostname",
    "whoami", "id", "wc", "kill", "getopts", "break", "continue", "unset", "alias", "stty", "tput", "clear", "mv", "cp",
    "which", "type", "popd", "pushd", "log", "curl", "wget", "let", "((", "cmp", "diff", "lockfile", "stat", "du", "df",
}  # fmt: skip
#: Programs that may move rows in ways that are not read here.
MOVERS = {
    "sqlplus", "sqlcmd", "bcp", "isql", "tsql", "db2", "sqlldr", "python", "python3", "perl", "ruby", "php", "ssh", "scp", "sftp",
    "ftp", "lftp", "rsync", "pgloader", "pg_dump", "pg_restore", "mysqldump", "mysqlimport", "java", "aws", "gsutil", "node",
}  # fmt: skip


#: sed expressions that take blanks off.
_BLANKS_OFF = re.compile(r"s(.)\^?(?: |\[\[:(?:space|blank):\]\]|\\s)[*+]?\$?\1\1g?")


def holds_result(value: Stream) -> bool:
    """Whether the value is, or holds, what a query or a date gives, and nothing more than blanks around it."""
    if not isinstance(value, tuple) or not any(isinstance(part, (QueryResult, Date)) for part in value):
        return False
    return not any(isinstance(part, Text) and part.text.strip() for part in value)


class Tools(State):
    """Gives what each command prints, and does to the state what it does to the shell's."""

    def _builtin(self, program: str, arguments: list[Value], stdin: Stream, spot: Spot) -> Stream:
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
            return self._filter(program, arguments, stdin, spot)
        self._unknown_program(program, spot)
        return None

    def _filter(self, program: str, arguments: list[Value], stdin: Stream, spot: Spot) -> Stream:
        """What flows through a filter: taken as it is where the filter only trims, else noted."""
        if program not in _TRIMMERS and (isinstance(stdin, Pull) or holds_result(stdin)):
            what = "rows" if isinstance(stdin, Pull) else "the value"
            self._note(spot, f"{program} changes {what} on the way: do it in the query", blocking=True)
        return stdin

    def _unknown_program(self, program: str, spot: Spot) -> None:
        if program in MOVERS:
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

    def _cat(self, arguments: list[Value], stdin: Stream, spot: Spot) -> Stream:
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

    def _sed(self, arguments: list[Value], stdin: Stream, spot: Spot) -> Stream:
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
            return self._filter("sed", arguments, stdin, spot)
        text = self._content(files[0], spot) if files else stdin
        if not isinstance(text, tuple):
            return None
        if holds_result(text) and not all(_BLANKS_OFF.fullmatch(shown(item)) for item in expressions) and not files:
            return self._filter("sed", arguments, text, spot)
        for expression in expressions:
            changed = sed(text, expression)
            if changed is None:
                self._note(spot, f"sed {shown(expression)} is not understood")
                return (Unknown(f"$(sed {shown(expression)})", spot),)
            text = changed
        return text


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


def spaced(values: list[Value]) -> Value:
    parts: list[Value] = []
    for value in values:
        parts += [(Text(" "),)] if parts else []
        parts.append(value)
    return joined(tuple(part for value in parts for part in value))


def _printed(program: str, arguments: list[Value]) -> Value | None:
    if program == "echo":
        words = [value for value in arguments if plain(value) not in ("-n", "-e")]
        return joined((*spaced(words), Text("\n")))
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
