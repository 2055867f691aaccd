"""What `pipekit doctor` says of the disk that the state is on, and messages cut to a line."""

from __future__ import annotations

import pytest

from pipekit_engine.common.text import first_line, other_lines
from pipekit_engine.errors import StoreError
from pipekit_engine.operations import doctor
from tests.cli.conftest import Project


def test_the_disk_is_looked_at(shared: Project) -> None:
    (check,) = (item for item in shared.look("doctor", "--json").json if item["name"] == "disk")
    assert "GB free in" in check["detail"]
    assert str(shared.folder) in check["detail"]


@pytest.mark.parametrize(("limit", "ok"), [("DISK_SPARE", False), ("DISK_LOW", None)])
def test_a_disk_that_fills_up_is_said(
    shared: Project, monkeypatch: pytest.MonkeyPatch, limit: str, ok: bool | None
) -> None:
    monkeypatch.setattr(doctor, limit, 10**18)
    done = shared.look("doctor", "--json")
    (check,) = (item for item in done.json if item["name"] == "disk")
    assert check["ok"] is ok
    assert "runs" in check["fix"]
    assert done.status == (2 if ok is False else 0)


def test_lines() -> None:
    error = StoreError("  one\ntwo\nthree")
    assert (first_line(error), other_lines(error)) == ("one", "two\nthree")
    assert first_line("abcdef", 4) == "abc…"
    assert first_line(None) == first_line("") == ""
    assert first_line(StoreError()) == "StoreError"
