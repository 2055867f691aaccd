"""The commands that move rows or run SQL: jrunner and the clients of databases."""

from __future__ import annotations

import re

from pipekit_import.events import Pull, Statements
from pipekit_import.programs import read_client, read_jrunner
from pipekit_import.state import Stream
from pipekit_import.texts import cut, psql_variables
from pipekit_import.tools import Tools
from pipekit_import.values import Login, QueryResult, Spot, Text, Unknown, Value, joined, plain, shown

_COPY = re.compile(
    r"\\?\bcopy\s+(?P<table>[\w.\"]+)\s*(?:\((?P<columns>[^)]*)\))?\s+from\s+(?P<from>'[^']*'|p?stdin|\S+)[^;\n]*;?",
    re.IGNORECASE,
)
_INCLUDE = re.compile(
    r"^[ \t]*(?:\\(?:i|ir|include|include_relative|\.)|source|\.read)[ \t]+'?(?P<file>[^\s;']+)'?;?[ \t]*$",
    re.MULTILINE,
)


class Loads(Tools):
    """Notes loads and statements in the account, in the order in which a run would do them."""

    def _jrunner(self, arguments: list[Value], spot: Spot, *, capture: bool) -> Stream:
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
        stdin: Stream,
        local: dict[str, Value],
        spot: Spot,
        *,
        capture: bool,
    ) -> Stream:
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
        texts = [(self._included(sql, where), where) for sql, where in texts]
        if call.variables:
            texts = [(psql_variables(sql, call.variables), where) for sql, where in texts]
        if capture and len(texts) == 1 and re.match(r"\s*(?:select|with|values)\b", shown(texts[0][0]), re.IGNORECASE):
            return (QueryResult(call.login, texts[0][0], texts[0][1]),)
        for sql, where in texts:
            rest = self._copies(sql, call.login, stdin, spot)
            if shown(rest).strip(" \n;"):
                self.account.steps.append(Statements(spot, call.login, rest, where))
        return ()

    def _included(self, sql: Value, spot: Spot) -> Value:
        """The SQL with the files that psql's \\i, mysql's source and sqlite3's .read bring in."""
        for match in _INCLUDE.finditer(shown(sql)):
            content = self._content((Text(match["file"]),), spot)
            if content is None:
                self._note(spot, f"the file {match['file']} is not here", blocking=True)
            else:
                before, after = cut(sql, match[0])
                sql = joined((*before, *content, *after))
        return sql

    def _copies(self, sql: Value, login: Login, stdin: Stream, spot: Spot) -> Value:
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
        return self._copies(after, login, None, spot)


def _spot_of(value: Value, spot: Spot) -> Spot:
    first = value[0] if value else None
    return first.spot if isinstance(first, Text) and first.spot else spot
