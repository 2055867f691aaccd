"""What the run launcher (`pipekit_dagster.launcher`) and the process of a run (`pipekit_dagster.worker`) need.

When the minor version changes, compare with `dagster/_core/launcher/default_run_launcher.py` and `dagster/_cli/api.py`, and run
tests/dagster/test_serve.py, test_lost_runs.py and tests/deploy.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

# Base of all launchers, and what it takes and answers. Check: its abstract methods; the arguments of `CheckRunHealthResult`.
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus

# What makes a class that dagster.yaml can name. Check: `inst_data`, `config_type`, `from_config_value` are all it asks for.
from dagster._serdes import ConfigurableClass, ConfigurableClassData

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun
    from dagster._core.origin import JobPythonOrigin
    from typing_extensions import Self

__all__ = [
    "IMPORTED_BY_RUNS",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "ConfiguredRunLauncher",
    "LaunchRunContext",
    "WorkerStatus",
    "capture_interrupts",
    "create_run",
    "execute_run",
]


class ConfiguredRunLauncher(RunLauncher, ConfigurableClass):
    """A run launcher without options that dagster.yaml can name."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """The configuration that Dagster made this object from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No options."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """How Dagster makes the launcher from dagster.yaml."""
        return cls(inst_data=inst_data)

    @property
    def instance(self) -> DagsterInstance:
        """The instance whose launcher this is. Check: `_instance` and `has_instance` of MayHaveInstanceWeakref."""
        return self._instance


#: What a run imports when it comes to it. A name that is gone costs the time of its import. Check: the
#: modules that the process of a run imports between its start and its first op.
IMPORTED_BY_RUNS = (
    "dagster._cli.api",
    "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._utils.test.definitions",
    "dagster_postgres",
    "fsspec.implementations.local",
    "upath.implementations.local",
)


def capture_interrupts() -> AbstractContextManager[None]:
    """Within it SIGINT and SIGTERM are noted for the executor to find, not raised. Check: `dagster api execute_run` does so."""
    from dagster._utils.interrupts import capture_interrupts as captured

    return captured()


def create_run(instance: DagsterInstance, module: str, job: str, location: str) -> str:
    """Make a run of a job of a module's `defs`, as a code location of this name would have it; its id.

    Check: the origins and the tag `.dagster/repository` that `create_valid_pipeline_run` of `dagster_graphql` gives to a run; the
    UI finds a job's runs by these.
    """
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

    found = ReconstructableRepository.for_module(module, "defs").get_reconstructable_job(job)
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
    made = instance.create_run_for_job(
        found.get_definition(),
        job_code_origin=found.get_python_origin(),
        remote_job_origin=repository.get_job_origin(job),
        tags={".dagster/repository": repository.get_label()},
    )
    return made.run_id


def execute_run(run: DagsterRun, code: JobPythonOrigin) -> None:
    """Execute a run in this process, as `dagster api execute_run` does; `code` is its `job_code_origin`.

    Check: the fields of ExecuteRunArgs; that the command takes them serialised as its one argument; that it ends a run whose
    code does not load as failed.
    """
    from dagster._cli.api import execute_run_command
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import serialize_value

    arguments = ExecuteRunArgs(job_origin=code, run_id=run.run_id, instance_ref=None)
    execute_run_command.main([serialize_value(arguments)], standalone_mode=False)
