"""Every checkpoint x everything that can end where Dagster runs a module x three databases, the strategies in turn."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.faults.checkpoints import CHECKPOINTS, Checkpoint
from tests.faults.conftest import Sites
from tests.faults.model import STRATEGIES
from tests.faults.report import Report
from tests.faults.served import SERVED_FAULTS, ServedEngines, ServedFault, ServedTrial
from tests.faults.test_matrix import KINDS, possible

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(600)]


def served_cells() -> list[object]:
    """Ordered by site: a server is started for each. None is in the quick cut."""
    found = []
    for kind in KINDS:
        for place, checkpoint in enumerate(CHECKPOINTS):
            for number, fault in enumerate(SERVED_FAULTS):
                turn = (place + number) % len(STRATEGIES)
                for strategy in [*STRATEGIES[turn:], *STRATEGIES[:turn]]:
                    if possible(kind, checkpoint, "engine killed", strategy):
                        marks = [pytest.mark.all_faults]
                        marks += [getattr(pytest.mark, kind)] if kind != "sqlite" else []
                        name = f"{kind}-{strategy}-{fault}-{checkpoint.name}".replace(" ", "_")
                        found.append(
                            (kind, strategy, pytest.param(kind, strategy, checkpoint, fault, id=name, marks=marks))
                        )
                        break
    return [cell for _, _, cell in sorted(found, key=lambda item: item[:2])]


@pytest.fixture(scope="module")
def served_engines(java: str) -> Iterator[ServedEngines]:
    engines = ServedEngines()
    yield engines
    engines.end()


@pytest.mark.parametrize(("kind", "strategy", "checkpoint", "fault"), served_cells())
def test_served_cell(
    sites: Sites,
    served_engines: ServedEngines,
    report: Report,
    request: pytest.FixtureRequest,
    kind: str,
    strategy: str,
    checkpoint: Checkpoint,
    fault: ServedFault,
) -> None:
    with sites.use(kind, strategy, "plain", request.getfixturevalue) as site:
        site.disturb(Random(f"{kind} {strategy} {checkpoint.name} {fault}"))
        ServedTrial(site, served_engines, checkpoint, fault).report(report, fault)
