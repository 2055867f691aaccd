"""Handing a command to the agent of this project, if one runs. Imports as little as it can: this is all that the command does.

The agent forks a process that has the command's arguments, folder, environment, umask and open files, so that it reads and writes
as if it ran here. Signals that this process gets are passed on to it. How the two talk:

1. here: one JSON line, with the three standard files.
2. there: `+`, or the end of the connection: then the command runs here.
3. here: `g`. Only now the command begins there; who has given up waiting does not say it, so that nothing runs twice.
4. here: a byte for each signal. The end of the connection counts as SIGTERM: nobody waits for the command any more.
5. there: a JSON line, the exit status or the signal that ended the process.
"""

from __future__ import annotations

import os
import re
import signal
import sys

#: Not of `typing`: see `pipekit_engine.cli.entry`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

#: Commands that are handed over: they do one thing and end. Others talk for long, or are servers themselves.
COMMANDS = frozenset({"run", "run-group", "modules", "groups", "schedules", "runs", "cancel", "unlock"})
#: Seconds that an agent has to take a command; one that is too busy is done without.
_TAKE_S = 1.0
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Longest path that a Unix socket takes; longer ones are reached by way of their folder.
_LONGEST_PATH = 100
_DATABASE = re.compile(r"^database:[ \t]*([^\s#'\"]+|'[^'\n]*'|\"[^\"\\\n]*\")[ \t]*(?:#.*)?$", re.MULTILINE)


def socket_path(folder: str, database: str) -> str:
    """Where the agent of a project listens: beside its SQLite state, or in its configuration's folder."""
    name = "pipekit" if "://" in database else database
    return os.path.join(folder, f"{name}.agent")


def within_reach(path: str) -> tuple[str, int]:
    """The path as a socket takes it, and a descriptor to be closed after its use; -1 for none."""
    if len(os.fsencode(path)) <= _LONGEST_PATH or not os.path.isdir("/proc/self/fd"):
        return path, -1
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{os.path.basename(path)}", folder


def identity() -> dict[str, object]:
    """What the agent's code and interpreter must be for a command to be run there as it would be here."""
    return {
        "prefix": sys.prefix,
        "python": sys.version,
        "code": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        "settings": sorted(item for item in os.environ.items() if item[0].startswith("PYTHON")),
        "namespaces": [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "pid", "user")],
        "groups": [os.getuid(), os.getgid(), *sorted(os.getgroups())],
    }


def hand_over(command: Command | None, arguments: list[str]) -> int | None:
    """Let the agent run a command; its exit status, None when it has to run here."""
    path = _agent_for(command) if sys.platform == "linux" else None
    return None if path is None else _run(path, arguments)


class Command:
    """A command's name, the folder that its configuration's paths start from, and the text of that configuration."""

    def __init__(self, name: str, folder: str, configuration: str) -> None:
        self.name = name
        self.folder = folder
        self.configuration = configuration

    @classmethod
    def of(cls, arguments: list[str]) -> Command | None:
        """The command of a line of arguments; None for none, and where the configuration cannot be read."""
        named, rest = os.environ.get("PIPEKIT_CONFIG"), list(arguments)
        if len(rest) > 1 and rest[0] == "--config":
            named, rest = rest[1], rest[2:]
        elif rest and rest[0].startswith("--config="):
            named, rest = rest[0].partition("=")[2], rest[1:]
        if not rest or rest[0].startswith("-"):
            return None
        # As `pipekit_engine.config.find_config`. The command reads the file itself: here it only leads to the socket.
        found = named or next(
            (name for name in ("pipekit.yaml", "/etc/pipekit/config.yaml") if os.path.isfile(name)), None
        )
        if found is None:
            return cls(rest[0], os.getcwd(), "")
        try:
            with open(found, encoding="utf-8") as file:
                return cls(rest[0], os.path.dirname(os.path.abspath(found)), file.read(1 << 20))
        except (OSError, ValueError):
            return None

    @property
    def database(self) -> str | None:
        """What the configuration says of the database, as it is written; None where that cannot be told without reading YAML."""
        match = _DATABASE.search(self.configuration)
        if match is not None:
            return match[1].strip("'\"")
        return None if self.says("database") else "pipekit.db"

    def says(self, key: str) -> bool:
        """Whether the configuration has this key."""
        return re.search(rf"^['\"]?{key}", self.configuration, re.MULTILINE) is not None


def _agent_for(command: Command | None) -> str | None:
    """The socket of the agent that may take this command, if there is one."""
    if command is None or command.name not in COMMANDS:
        return None
    database = command.database
    if database is None:
        return None
    path = socket_path(command.folder, database)
    return path if os.path.exists(path) else None


def reach(path: str, timeout_s: float) -> socket.socket:
    """A connection to the server of this user that listens there; each thing said takes at most `timeout_s`. Raises OSError."""
    import socket
    import struct

    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        reachable, folder = within_reach(path)
        try:
            connection.connect(reachable)
        finally:
            if folder >= 0:
                os.close(folder)
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid():
            raise PermissionError(f"another user listens on {path}")
    except BaseException:
        connection.close()
        raise
    return connection


def ask(connection: socket.socket, wanted: dict[str, object], files: list[int]) -> None:
    """Send a request with what the forked process takes over from this one, and open files. Raises OSError."""
    import array
    import json
    import socket

    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        umask = next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
    request = {
        **identity(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "umask": umask,
        "ignored": [number for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
        **wanted,
    }
    line = json.dumps(request).encode() + b"\n"
    sent = connection.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
    connection.sendall(line[sent:])


def read_line(connection: socket.socket) -> bytes:
    """What the server says up to the end of a line, or of the connection."""
    answer = b""
    while not answer.endswith(b"\n") and (part := connection.recv(4096)):
        answer += part
    return answer


def _run(path: str, arguments: list[str]) -> int | None:
    import json

    try:
        agent = reach(path, _TAKE_S)
    except OSError:
        return None
    with agent:
        try:
            streams = [[stream.encoding, stream.errors] for stream in (sys.stdin, sys.stdout, sys.stderr)]
            ask(agent, {"arguments": arguments, "streams": streams}, [0, 1, 2])
            if agent.recv(1) != b"+":
                return None
            for number in PASSED_ON:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    # The socket is written to, not waited for: the handler runs between two bytecodes of the reading below.
                    signal.signal(number, lambda number, _frame: agent.send(bytes([number])))
            agent.settimeout(None)
            agent.sendall(b"g")
        except (OSError, AttributeError, ValueError, StopIteration):
            return None
        try:
            answer = read_line(agent)
        except OSError:
            answer = b""
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_DFL)
    ended = json.loads(answer) if answer.endswith(b"\n") else {}
    if "signal" in ended:
        os.kill(os.getpid(), ended["signal"])
    if "status" not in ended:
        print("error: the agent ended while it worked; `pipekit runs list` tells how far a run came.", file=sys.stderr)
        return 1
    return int(ended["status"])
