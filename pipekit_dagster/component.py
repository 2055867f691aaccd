"""`PipekitComponent`: pipekit's modules and groups inside a `dg` project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from pipekit_dagster.build import assemble
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.config import Config, load_config
from pipekit_engine.definitions.apply import apply_definitions
from pipekit_engine.definitions.saving import register_builtin_drivers
from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import Definitions
from pipekit_engine.store import Store


class PipekitComponent(dg.Component, dg.Model, dg.Resolvable):
    """Loads what a pipekit state store defines. In a component's `defs.yaml`:

        type: pipekit_dagster.PipekitComponent
        attributes:
          database: ../../pipekit.db        # or config_file: ../../pipekit.yaml
          groups: [nightly]                 # all groups when left out
          definitions: ./definitions        # YAML in git: applied to the store, which is made where it is missing
          with_schedules: true
          with_sensors: true

    Relative paths start from the folder of the `defs.yaml`. In Python:

        component = PipekitComponent(database="/srv/pipekit/pipekit.db", groups=["nightly"])

    Subclass it and override `translator` to change names, tags, pools or assets.
    """

    database: str | None = Field(default=None, description="path of the state store, or an SQLAlchemy URL")
    config_file: str | None = Field(default=None, description="pipekit's configuration file, instead of `database`")
    groups: list[str] | None = Field(default=None, description="groups to load, with their modules; all when left out")
    definitions: str | None = Field(
        default=None,
        description="folder of YAML files, or one file: the store is made to match it whenever the component loads",
    )
    with_schedules: bool = Field(default=True, description="whether schedules become Dagster's schedules")
    with_sensors: bool = Field(
        default=True,
        description="whether triggers become Dagster's sensors, beside those for `automation` and for runs whose process died",
    )

    def translator(self) -> DagsterPipekitTranslator:
        """How records look in Dagster."""
        return DagsterPipekitTranslator()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions. Raises ConfigurationError without a usable store, NotFoundError for an unknown group."""
        config = self._config(Path(context.path))
        if self.definitions is not None:
            Store.init(config.database_url)
            with Store.open(config.database_url) as store:
                register_builtin_drivers(store)
                apply_definitions(store, _folder(Path(context.path)) / self.definitions)
        with Store.open(config.database_url) as store:
            definitions, broken = store.definitions.load_checked()
        if self.groups is not None:
            definitions = only_groups(definitions, self.groups)
            kept = {"groups": set(self.groups), "modules": {m for g in definitions.groups.values() for m in g.members}}
            broken = [item for item in broken if item.name in kept.get(item.kind, ())]
        return self._wanted(assemble(config, definitions, broken, self.translator()))

    def _wanted(self, defs: dg.Definitions) -> dg.Definitions:
        """Without what the switches leave out."""
        if self.with_schedules and self.with_sensors:
            return defs
        return dg.Definitions(
            assets=defs.assets,
            jobs=defs.jobs,
            schedules=defs.schedules if self.with_schedules else None,
            sensors=defs.sensors if self.with_sensors else None,
            resources=defs.resources,
        )

    def _config(self, folder: Path) -> Config:
        folder = _folder(folder)
        config = load_config(folder / self.config_file if self.config_file else None)
        if self.database is None:
            return config
        database = self.database if "://" in self.database else str((folder / self.database).resolve())
        return config.model_copy(update={"database": database})


def _folder(path: Path) -> Path:
    """The folder of a `defs.yaml`, from which relative paths start."""
    return path if path.is_dir() else path.parent


def only_groups(definitions: Definitions, groups: list[str]) -> Definitions:
    """The definitions that some groups need: their modules, schedules and triggers, and all connections."""
    for name in groups:
        if name not in definitions.groups:
            raise NotFoundError("group", name, definitions.groups)
    members = {member for name in groups for member in definitions.groups[name].members}
    update: dict[str, Any] = {
        "groups": {name: definitions.groups[name] for name in groups},
        "modules": {name: item for name, item in definitions.modules.items() if name in members},
        "schedules": {name: item for name, item in definitions.schedules.items() if item.group in groups},
        "triggers": {name: item for name, item in definitions.triggers.items() if item.group in groups},
    }
    return definitions.model_copy(update=update)
