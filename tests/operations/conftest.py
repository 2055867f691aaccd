"""The command's own project (SQLite to SQLite, real jrunner) for backup, restore and the support bundle."""

from tests.cli.conftest import project, shared, template

__all__ = ["project", "shared", "template"]
