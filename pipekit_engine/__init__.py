"""pipekit's engine: keeps tables in one database in step with queries in another.

    from pipekit_engine import Engine

    with Engine() as engine:
        result = engine.run("flights")

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from pipekit_engine._version import __version__
from pipekit_engine.common.lazy import names_from

#: Not of `typing`: see `pipekit_engine.cli.entry`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipekit_engine.config import Config, load_config
    from pipekit_engine.engine import Engine
    from pipekit_engine.errors import PipekitError

__all__ = ["Config", "Engine", "PipekitError", "__version__", "load_config"]

_HOMES = {
    "Config": "pipekit_engine.config",
    "Engine": "pipekit_engine.engine",
    "PipekitError": "pipekit_engine.errors",
    "load_config": "pipekit_engine.config",
}

__getattr__ = names_from(__name__, _HOMES)
