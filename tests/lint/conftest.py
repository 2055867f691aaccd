"""A project whose definitions have mistakes, with databases that can be asked."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Project, make_project

MISTAKES = """\
modules:
  sorted:
    source: src
    dest: dw
    query: SELECT id, name FROM items ORDER BY id
    dest_table: sorted
    strategy: upsert
    merge_key: [nr]
  behind:
    source: src
    dest: dw
    query: SELECT id, at FROM items WHERE at > '{since}'
    dest_table: behind
    strategy: upsert
    merge_key: [id]
    watermarks:
      since: {connection: dw, resolver_sql: SELECT max(at) FROM behind, default: 2000-01-01}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project of the command's own tests, with more definitions in `mistakes/`, which are not applied."""
    project = make_project(tmp_path_factory.mktemp("lint"))
    project.write("mistakes/more.yaml", MISTAKES)
    return project
