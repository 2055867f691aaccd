"""`pipekit serve`: code server, daemon and web server as one process that a person starts.

- `supervisor` starts the three, restarts what dies, and reloads the code location when definitions change.
- `web` is the web server: Dagster's UI behind a login, the REST interface and `/health`.
- `rest` is the REST interface (its records in `answers`, its errors in `problems`).
- `health` reports the state of all three.
"""

from __future__ import annotations


def worker(at_once: int | None = None, queues: list[str] | None = None) -> int:
    """Take runs that a server sends, until SIGINT or SIGTERM; the exit status. None takes what the configuration says.

    Raises ConfigurationError when it cannot start as asked.
    """
    from pipekit_dagster.workers.host import serve
    from pipekit_engine.config import load_config

    return serve(load_config(), at_once=at_once, queues=queues)


def main(host: str | None = None, port: int | None = None, reload_: bool = False, *, agent: bool = False) -> int:
    """Serve until SIGINT or SIGTERM; the exit status. None takes host and port from the configuration.

    `reload_` also watches pipekit's own Python files; `agent` also starts `pipekit agent`.
    Raises ConfigurationError when it cannot start as asked.
    """
    from pipekit_dagster.serve.supervisor import serve
    from pipekit_engine.config import load_config

    return serve(load_config(), host=host, port=port, reload_=reload_, agent=agent)
