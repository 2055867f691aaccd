"""The public surface: what its docstrings show runs, the component loads, importing is cheap."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

import pipekit_dagster
from pipekit_dagster import (
    DagsterPipekitTranslator,
    PipekitComponent,
    PipekitResource,
    build_pipekit_definitions,
    pipekit_thread_executor,
)
from pipekit_dagster.serve.home import default_dagster_yaml
from pipekit_engine.errors import NotFoundError
from tests.dagster.project import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that is the configuration in force."""
    project.add_module("flights")
    project.add_module("airlines")
    project.add_group("nightly", ("airlines",), ("flights",))
    project.add_group("weekly", ("airlines",))
    monkeypatch.setenv("PIPEKIT_CONFIG", str(project.config_file))
    return project


def example(documented: Any) -> dict[str, Any]:
    """Run the Python that stands in a docstring, indented below a line that ends in a colon; its names."""
    blocks: list[list[str]] = [[]]
    for line in textwrap.dedent((documented.__doc__ or "").partition("\n")[2]).splitlines():
        if line.startswith("    ") or (blocks[-1] and not line.strip()):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    code = "\n\n".join(textwrap.dedent("\n".join(block)) for block in blocks if any("import" in line for line in block))
    assert code.strip(), "no example in the docstring"
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, f"<docstring of {documented}>", "exec"), names)
    return names


def test_example_of_the_package(here: Project) -> None:
    assert isinstance(example(pipekit_dagster)["defs"], dg.Definitions)


def test_example_of_build_pipekit_definitions(here: Project) -> None:
    assert example(build_pipekit_definitions)["defs"].resolve_job_def("nightly")


def test_example_of_the_translator(here: Project) -> None:
    defs = example(DagsterPipekitTranslator)["defs"]
    assert defs.resolve_job_def("nightly").graph.node_named("flights").definition.tags["team"] == "warehouse"


def test_example_of_the_resource(here: Project) -> None:
    op = example(PipekitResource)["load_flights"]

    @dg.job(resource_defs={"pipekit": PipekitResource()})
    def mine() -> None:
        op()

    assert mine.execute_in_process().success
    assert len(here.rows("flights")) == 3
    with here.store() as store:
        assert store.runs.list()[0].triggered_by == "manual"


def test_example_of_the_executor() -> None:
    assert example(pipekit_thread_executor)["greetings"].executor_def.name == "pipekit_threads"


def test_the_component_loads_the_groups_it_names(here: Project) -> None:
    context = dg.ComponentTree.for_test().load_context
    defs = PipekitComponent(database=str(here.folder / "pipekit.db"), groups=["weekly"]).build_defs(context)
    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {"weekly", "modules"}
    assert not repository.has_job("nightly")
    everything = PipekitComponent(config_file=str(here.config_file)).build_defs(context)
    assert everything.get_repository_def().has_job("nightly")
    with pytest.raises(NotFoundError, match="weekly"):
        PipekitComponent(database=str(here.folder / "pipekit.db"), groups=["weakly"]).build_defs(context)


def test_the_component_from_yaml(here: Project) -> None:
    contents = {
        "type": "pipekit_dagster.PipekitComponent",
        "attributes": {"database": str(here.folder / "pipekit.db"), "groups": ["nightly"]},
    }
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=PipekitComponent, defs_yaml_contents=contents)
        with sandbox.load_component_and_build_defs(defs_path=path) as (_, defs):
            assert defs.resolve_job_def("nightly")
            assert not defs.get_repository_def().has_job("weekly")


def test_importing_the_package_and_the_login_imports_no_dagster() -> None:
    code = (
        "import sys, pipekit_dagster, pipekit_web.server.auth, pipekit_dagster.serve;"
        "sys.exit(any(name == 'dagster' or name.startswith('dagster.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_packaged_instance_is_the_one_in_the_repository() -> None:
    assert default_dagster_yaml() == (ROOT / "dagster.yaml").read_text()


def test_a_missing_store_is_said_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipekit.yaml").write_text("database: nowhere.db\n")
    monkeypatch.setenv("PIPEKIT_CONFIG", str(tmp_path / "pipekit.yaml"))
    with pytest.raises(Exception, match="pipekit init"):
        build_pipekit_definitions()
