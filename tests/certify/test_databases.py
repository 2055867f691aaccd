"""All our own databases pass: of three a cut of the certification in `make test`, all whole in `make test-slow`.

The whole ones write their reports where PIPEKIT_WRITE_CERTIFICATES says, for docs/certificates.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipekit_engine.certify.report import Report
from pipekit_engine.databases.dialects import get_dialect, kinds
from tests.certify.conftest import KINDS, Make, Subject

#: Of these `make test` runs a cut.
QUICK = ("sqlite", "postgresql")
CERTIFICATES = Path(__file__).resolve().parents[2] / "docs" / "certificates"


def passed(report: Report, subject: Subject) -> None:
    """Nothing is broken, nothing is left, and the report tells nothing of the place."""
    assert report.broken == (), [item for item in report.findings if item.outcome == "broken"]
    for word in (subject.connection.jdbc_url, str(subject.config.folder), "127.0.0.1"):
        assert word not in report.text()
    assert json.loads(report.text())["product"] == report.product


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kind", [*QUICK, *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in QUICK)]
)
def test_a_cut_of_the_certification(subject: Make, kind: str) -> None:
    made = subject(kind)
    report = made.certify(quick=True)
    passed(report, made)
    assert report.count("held") >= 8
    assert not report.whole


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_certification(subject: Make, kind: str) -> None:
    made = subject(kind)
    report = made.certify()
    passed(report, made)
    assert report.count("held") >= 40
    if folder := os.environ.get("PIPEKIT_WRITE_CERTIFICATES"):
        Path(folder, f"{kind}.json").write_text(report.text(), encoding="utf-8")


def test_the_kinds_that_are_said_to_be_certified_here_are_those_with_a_report() -> None:
    reported = {json.loads(path.read_text(encoding="utf-8"))["kind"] for path in CERTIFICATES.glob("*.json")}
    said = {kind for kind in kinds() if get_dialect(kind).certified_here}
    # MySQL's driver is certified on MariaDB: its server was never met.
    assert said <= reported
    for path in CERTIFICATES.glob("*.json"):
        report = json.loads(path.read_text(encoding="utf-8"))
        assert report["whole"]
        assert not [item for item in report["findings"] if item["outcome"] == "broken"] or report["kind"] not in said
