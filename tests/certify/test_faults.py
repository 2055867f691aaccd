"""Each fault that once gave wrong rows with status "success", put back: the certification finds it broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipekit_engine.certify.outcomes import Finding
from pipekit_engine.databases.dialects.derby import Derby
from pipekit_engine.jrunner.client import Session
from pipekit_engine.jrunner.protocol import MigrateRequest, MigrateResult
from tests.certify.conftest import Make

#: A fault of the driver, the checks that are run, and what one of them says.
FAULTS = {
    "time-fraction": ("types: time", "'00:00:00.000001' became '00:00:00'"),
    "old-dates": ("types: timestamp", "the database does not find '1582-10-04 00:00:00' where it was written"),
    "old-instants": ("types: timestamp with", "does not find '0001-01-02 00:00:00+00:00' where it was written"),
    "gap-dates": ("types: date", "'1582-10-10' became '1582-10-20'"),
    "coarse-clock": ("watermarks: a timestamp", "row 1 came twice"),
    "whole-minutes": ("types: timestamp", "'1969-12-31 23:59:59.999999' became '1970-01-01 00:00:00'"),
    "code-page": ("types: text", "became"),
    "blank-column": ("names: blank first", "the rows are [('1', None, None)"),
    "garbage": ("types: text", "became '[B@"),
    "raw-bytes": ("types: text", "became"),
    "scale-zero": ("types: timestamp", "a query of it is said to have 0 digits of a second"),
}


def broken(findings: tuple[Finding, ...]) -> list[str]:
    return [item.detail for item in findings if item.outcome == "broken"]


def test_the_driver_under_the_faults_is_good(crooked: Make) -> None:
    report = crooked("none").certify("types: time", "types: date", "types: text", "names: blank first", "watermarks")
    assert broken(report.findings) == []
    assert report.count("held") >= 8


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.sample(3)
def test_a_fault_of_a_driver_is_found(crooked: Make, fault: str) -> None:
    checks, said = FAULTS[fault]
    found = broken(crooked(fault).certify(checks).findings)
    assert any(said in detail for detail in found), found


@pytest.mark.postgresql
def test_a_path_that_falls_back_without_a_word_is_found(subject: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Microsoft's driver did, whose bulk copy turned itself off for dates, while "bulk" was told."""
    migrate = Session.migrate

    def fall_back(session: Session, request: MigrateRequest, **more: Any) -> MigrateResult:
        return migrate(session, replace(request, path="batch") if request.path == "copy-text" else request, **more)

    made = subject("postgresql")
    assert broken(made.certify("types: date").findings) == []
    monkeypatch.setattr(Session, "migrate", fall_back)
    found = broken(made.certify("types: date").findings)
    assert any("copy-text was asked for, and the rows went in by batch" in detail for detail in found), found


def test_keys_that_differ_by_blanks_alone_are_found_to_be_folded(
    subject: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Derby takes them for equal: without the check that refuses them, one row overwrites another."""
    assert broken(subject("derby").certify("keys: blanks").findings) == []
    monkeypatch.setattr(Derby, "coarse_type", lambda self, column: None)
    monkeypatch.setattr(Derby, "coarse_columns_sql", lambda self, table: None)
    found = broken(subject("derby").certify("keys: blanks").findings)
    assert any("became" in detail for detail in found), found
