"""Files that pipekit makes are never open to more people than what they hold."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.running.workbench import Workbench


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("dest", "staged"), [(0o600, 0o600), (0o644, 0o600), (0o664, 0o660)])
def test_staging_and_state_files(bench: Workbench, dest: int, staged: int) -> None:
    """They were 0644, by the usual umask, beside a destination of 0600."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    (bench.folder / "dest.db").touch()
    os.chmod(bench.folder / "dest.db", dest)
    bench.module()
    seen: set[int] = set()

    def look(_: object) -> None:
        seen.update(mode(path) for path in bench.folder.glob("dest.db.pipekit-*"))

    bench.run(on_event=look)
    assert seen == {staged}
    assert {mode(path) for path in bench.folder.glob("pipekit.db*")} == {0o600}
