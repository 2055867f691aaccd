"""The programs that such scripts call: jrunner, and the clients of databases. Their arguments, read."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_import.values import Login, Spot, Text, Value, plain

#: The clients of databases whose arguments are read.
CLIENTS = frozenset(client for kind in kinds() for client in get_dialect(kind).clients)
_JRUNNER_VALUES = ("-scu", "-scn", "-scp", "-sq", "-dcu", "-dcn", "-dcp", "-dt", "-f", "--path", "--jars", "--timeout")
_JRUNNER_FLAGS = ("-t", "-c", "-b", "--no-header")


@dataclass
class JrunnerCall:
    """A call of jrunner: its flags by name, and those that were not understood."""

    values: dict[str, Value] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)

    @property
    def source(self) -> Login:
        """Where it reads."""
        return Login(self.values.get("-scu", ()), self.values.get("-scn", ()), self.values.get("-scp", ()))

    @property
    def dest(self) -> Login | None:
        """Where it writes; None in query mode."""
        if "-dcu" not in self.values:
            return None
        return Login(self.values["-dcu"], self.values.get("-dcn", ()), self.values.get("-dcp", ()))


def read_jrunner(arguments: list[Value]) -> JrunnerCall:
    """Read the arguments of jrunner."""
    call = JrunnerCall()
    at = 0
    while at < len(arguments):
        word = plain(arguments[at])
        if word in _JRUNNER_VALUES and at + 1 < len(arguments):
            call.values[word] = arguments[at + 1]
            at += 1
        elif word in _JRUNNER_FLAGS:
            call.flags.add(word)
        elif word is None or word:
            call.strange.append(word or "a word that only a run would tell")
        at += 1
    return call


@dataclass
class ClientCall:
    """A call of a database client. `sql` holds its -c texts, `files` its -f files; `variables` are psql's -v."""

    login: Login
    sql: list[Value] = field(default_factory=list)
    files: list[Value] = field(default_factory=list)
    variables: dict[str, Value] = field(default_factory=dict)


def read_client(program: str, arguments: list[Value], environment: dict[str, Value], spot: Spot) -> ClientCall:
    """Read the arguments of psql, mysql or sqlite3."""
    reader = {"psql": _read_psql, "sqlite3": _read_sqlite}.get(program, _read_mysql)
    return reader(arguments, environment, spot)


def _read_psql(arguments: list[Value], environment: dict[str, Value], spot: Spot) -> ClientCall:
    options = {"h": "PGHOST", "p": "PGPORT", "U": "PGUSER", "d": "PGDATABASE"}
    long = {"host": "h", "port": "p", "username": "U", "dbname": "d", "command": "c", "file": "f", "set": "v",
            "variable": "v"}  # fmt: skip
    given: dict[str, Value] = {key: environment[name] for key, name in options.items() if name in environment}
    call = ClientCall(Login(client="psql"))
    positional: list[Value] = []
    for key, value in _options(arguments, "hpUdcfvPFLoR", long):
        if key == "c":
            call.sql.append(value)
        elif key == "f":
            call.files.append(value)
        elif key == "v":
            text = plain(value[:1]) or ""
            name, equals, rest = text.partition("=")
            if equals:
                call.variables[name] = ((Text(rest, spot),) if rest else ()) + value[1:]
        elif key in ("t", "A", "tuples-only", "no-align", "q", "X"):
            pass  # how it prints
        elif key == "":
            positional.append(value)
        elif key in options:
            given[key] = value
    for key, value in zip(("d", "U"), positional, strict=False):
        given.setdefault(key, value)
    url: Value = ()
    database = given.get("d", ())
    if (plain(database[:1]) or "").startswith(("postgres://", "postgresql://")):
        url, database = database, ()
    call.login = Login(
        url,
        given.get("U", ()),
        environment.get("PGPASSWORD", ()),
        "psql",
        given.get("h", ()),
        given.get("p", ()),
        database,
    )
    return call


def _read_mysql(arguments: list[Value], environment: dict[str, Value], spot: Spot) -> ClientCall:
    long = {"host": "h", "port": "P", "user": "u", "database": "D", "execute": "e", "password": "p"}
    given: dict[str, Value] = {}
    call = ClientCall(Login(client="mysql"))
    # -p's value is attached or there is none.
    for key, value in _options(arguments, "hPuDe", long, attached="p"):
        if key == "e":
            call.sql.append(value)
        elif key == "":
            given.setdefault("D", value)
        else:
            given[key] = value
    password = given.get("p") or environment.get("MYSQL_PWD", ())
    call.login = Login(
        (), given.get("u", ()), password, "mysql", given.get("h", ()), given.get("P", ()), given.get("D", ())
    )
    return call


def _read_sqlite(arguments: list[Value], environment: dict[str, Value], spot: Spot) -> ClientCall:
    positional = [value for value in arguments if not (plain(value[:1]) or "").startswith("-")]
    call = ClientCall(Login(client="sqlite3", database=positional[0] if positional else ()))
    call.sql = positional[1:]
    return call


def _options(
    arguments: list[Value], with_value: str, long: dict[str, str], attached: str = ""
) -> list[tuple[str, Value]]:
    """(option, value) pairs; positional arguments have the option ""."""
    found: list[tuple[str, Value]] = []
    at = 0
    while at < len(arguments):
        value = arguments[at]
        at += 1
        first = value[0] if value else None
        word = first.text if isinstance(first, Text) else ""
        if word.startswith("--"):
            name, equals, rest = word[2:].partition("=")
            key = long.get(name, name)
            if equals:
                found.append((key, _rest(value, rest)))
            elif key in with_value and name in long and at < len(arguments):
                found.append((key, arguments[at]))
                at += 1
            else:
                found.append((key, ()))
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                key, letters = letters[0], letters[1:]
                if key in attached:
                    found.append((key, _rest(value, letters)))
                    break
                if key in with_value:
                    if letters or len(value) > 1:
                        found.append((key, _rest(value, letters)))
                    elif at < len(arguments):
                        found.append((key, arguments[at]))
                        at += 1
                    break
                found.append((key, ()))
        else:
            found.append(("", value))
    return found


def _rest(value: Value, text: str) -> Value:
    first = value[0]
    assert isinstance(first, Text)
    return ((Text(text, first.spot),) if text else ()) + value[1:]
