"""After a driver's jar was installed: the registered driver must find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import driver_record, find_jars
from pipekit_engine.errors import NotFoundError, PipekitError, StoreError
from pipekit_engine.store import Change, Store

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.databases.jars.install import Installed


def use_installed(config: Config, kind: str, installed: Installed, by: str = "command") -> str:
    """Make sure that the registered driver finds the jar; says what happens to it. `by` is who the audit names."""
    try:
        with Store.open(config.database_url) as store:
            try:
                driver = store.definitions.driver(kind)
            except NotFoundError:
                driver = driver_record(kind)
                store.definitions.save([Change("create", "drivers", kind, driver)], by=by)
            try:
                found = find_jars(driver, config.jar_folders)
            except PipekitError:
                found = []
            if found and found[0].resolve() == installed.path.resolve():
                return f"Driver {kind} uses it."
            changed = driver.model_copy(update={"jar": str(installed.path)})
            store.definitions.save([Change("change", "drivers", kind, changed)], by=by)
            before = f" instead of {found[0]}" if found else ""
            return f"Driver {kind} is registered with it{before}."
    except StoreError:
        if installed.path.parent in config.jar_folders:
            return "Drivers are registered by `pipekit init`."
        return f"After `pipekit init`: pipekit drivers register {kind} --jar {installed.path}"
