"""What only the databases can tell: each module is planned against them, as a dry run does. No row moves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.engine import Engine
from pipekit_engine.errors import ConnectError, DestinationError, PipekitError, SourceError
from pipekit_engine.store import Change, Store

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.lint.subject import Subject

_CODES: tuple[tuple[type[PipekitError], str], ...] = (
    (ConnectError, "PK601"),
    (SourceError, "PK602"),
    (DestinationError, "PK603"),
    (PipekitError, "PK605"),
)
#: Where to look for each kind of error.
_FIELDS = {"PK601": "source", "PK602": "query", "PK603": "dest_table"}


def check_live(subject: Subject, config: Config) -> None:
    """Plan every enabled module on its databases: resolvers run, queries and destinations are described.

    The dry runs are written to a state store of their own, which is thrown away; the project's one is not touched.
    """
    with tempfile.TemporaryDirectory(prefix="pipekit-lint-") as folder:
        url = f"sqlite:///{Path(folder) / 'lint.db'}"
        Store.init(url)
        planned = _fill(url, subject)
        # Relative paths in the configuration and in URLs mean what they always mean.
        with Engine(config.model_copy(update={"database": url})) as engine, engine.session_pool() as sessions:
            for read in subject.modules:
                if read.module.name not in planned:
                    continue
                try:
                    plan = engine.run(read.module.name, dry_run=True, sessions=sessions).plan
                except PipekitError as error:
                    code = next(code for kind, code in _CODES if isinstance(error, kind))
                    loc = (_FIELDS[code],) if code in _FIELDS else ()
                    read.report(code, str(error), loc=loc)
                    continue
                for warning in plan.warnings if plan else ():
                    if warning.startswith("column "):  # placeholders are told by rules of their own
                        hint = "Give the column a dest_type in `columns` if that is not meant."
                        read.report("PK604", f"{warning}.", hint)


def _fill(url: str, subject: Subject) -> set[str]:
    """Write connections and modules into the throw-away store; the names of the modules that can be planned."""
    changes = [Change("create", "drivers", name, driver) for name, driver in subject.known_drivers.items()]
    known = {name for name, item in subject.known_connections.items() if item.driver in subject.known_drivers}
    changes += [Change("create", "connections", name, subject.known_connections[name]) for name in sorted(known)]
    planned = set()
    for name, module in subject.definitions.modules.items():
        wanted = {module.source, module.dest, *(mark.connection for mark in module.watermarks)}
        wanted |= {hook.connection for hook in module.hooks if hook.connection is not None}
        if module.enabled and wanted <= known:
            planned.add(name)
            changes.append(Change("create", "modules", name, module))
    with Store.open(url) as store:
        store.definitions.save(changes)
    return planned
