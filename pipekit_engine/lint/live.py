"""What only the databases can tell: each module is planned against them. No row moves, and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.connections import Connections, GivenDefinitions
from pipekit_engine.errors import ConnectError, DestinationError, PipekitError, SourceError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_session
from pipekit_engine.planning.planner import plan_module
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.lint.subject import Subject
    from pipekit_engine.models import Module

_CODES: tuple[tuple[type[PipekitError], str], ...] = (
    (ConnectError, "PK601"),
    (SourceError, "PK602"),
    (DestinationError, "PK603"),
    (PipekitError, "PK605"),
)
#: Where to look for each kind of error.
_FIELDS = {"PK601": "source", "PK602": "query", "PK603": "dest_table"}


def check_live(subject: Subject, config: Config) -> None:
    """Plan every enabled module on its databases: resolvers run, queries and destinations are described."""
    connections = {
        name: item for name, item in subject.known_connections.items() if item.driver in subject.known_drivers
    }
    secrets = Secrets.load(config.secrets_file)
    redactor = Redactor(secrets.values())
    opener = Connections(config, GivenDefinitions(connections, subject.known_drivers), secrets)
    with SessionPool(1, lambda: start_session(config)) as sessions:
        for read in subject.modules:
            module = read.module
            if not module.enabled or not _connections_of(module) <= connections.keys():
                continue
            try:
                with sessions.session() as session:
                    plan = plan_module(
                        module,
                        session,
                        opener,
                        staging_schema=config.staging_schema,
                        application_name=f"pipekit lint {module.name}",
                    )
            except PipekitError as error:
                code = next(code for kind, code in _CODES if isinstance(error, kind))
                loc = (_FIELDS[code],) if code in _FIELDS else ()
                read.report(code, redactor.clean(str(error)), loc=loc)
                continue
            for warning in plan.warnings:
                if warning.startswith("column "):  # placeholders are told by rules of their own
                    hint = "Give the column a dest_type in `columns` if that is not meant."
                    read.report("PK604", f"{warning}.", hint)


def _connections_of(module: Module) -> set[str]:
    """The names of all connections that a run of the module opens."""
    hooks = {hook.connection for hook in module.hooks if hook.connection is not None}
    return {module.source, module.dest, *(watermark.connection for watermark in module.watermarks), *hooks}
