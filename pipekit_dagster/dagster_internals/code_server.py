"""What is asked of the code server, and the command of the daemon. Importing this does not import Dagster.

When the minor version changes, run tests/dagster/test_serve.py and test_serve_outage.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dagster._grpc.client import DagsterGrpcClient

#: Module of the daemon's command. Check: what `dagster dev` starts (`dagster/_cli/dev.py`), and its options `-w`, `--log-level`.
DAEMON_MODULE = "dagster._daemon"


#: Seconds between two looks of the web server and the daemon for a new code server.
_WATCH_S = 0.25


def watch_closely() -> None:
    """Have this process take notice of a new code server sooner than within a second.

    Check: that the watcher still reads WATCH_INTERVAL.
    """
    from dagster._grpc import server_watcher

    if hasattr(server_watcher, "WATCH_INTERVAL"):
        server_watcher.WATCH_INTERVAL = _WATCH_S  # type: ignore[assignment]


class CodeServerUnreachable(Exception):
    """The code server gave no answer."""


class CodeServer:
    """The code server behind a Unix socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._made: DagsterGrpcClient | None = None

    @property
    def _client(self) -> DagsterGrpcClient:
        if self._made is None:
            from dagster._grpc.client import DagsterGrpcClient

            self._made = DagsterGrpcClient(socket=str(self._socket))
        return self._made

    def answer(self) -> Literal["definitions", "error"] | None:
        """What the server that has the definitions answers; None when it does not. The proxy before it answers also without it.

        Check: that the proxy passes this call on to the process behind it (`dagster/_grpc/proxy_server.py`), and which errors
        `sync_list_repositories_grpc` raises when definitions do not load, and when nobody answers.
        """
        from dagster._api.list_repositories import sync_list_repositories_grpc
        from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError

        try:
            sync_list_repositories_grpc(self._client)
        except DagsterUserCodeProcessError:
            return "error"
        except DagsterUserCodeUnreachableError:
            return None
        return "definitions"

    def reload(self, timeout_s: int) -> None:
        """Have the proxy start a new process and swap. Raises CodeServerUnreachable.

        Also raised when the old process was dead and the new one is up. Check: `reload_code` of `dagster code-server start`.
        """
        from dagster._core.errors import DagsterUserCodeUnreachableError

        try:
            self._client.reload_code(timeout=timeout_s)
        except DagsterUserCodeUnreachableError as error:
            raise CodeServerUnreachable(str(error)) from error
