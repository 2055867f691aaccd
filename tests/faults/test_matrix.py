"""Every checkpoint x every fault x every strategy x three databases; the quick cut takes one strategy for each cell in turn."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.breaking import BY_COMMAND, FAULTS, ON_A_WIRE, VARIANTS, Fault
from tests.faults.checkpoints import CHECKPOINTS, Checkpoint
from tests.faults.conftest import Sites
from tests.faults.model import STRATEGIES
from tests.faults.report import Report
from tests.faults.site import DIRECTLY
from tests.faults.trial import Engines, Trial

KINDS = ("sqlite", "postgresql", "mariadb")
#: What breaks elsewhere than at the destination is broken at the phases' beginnings and around what changes the destination.
ELSEWHERE = frozenset(["loading", "before COMMIT", "after COMMIT, unanswered"])
#: The quick cut: what is nearest to losing or doubling a row.
QUICK = {
    ("postgresql", "after COMMIT, unanswered", "both killed"),
    ("postgresql", "after COMMIT, unanswered", "server crashed"),
    ("postgresql", "after COMMIT, unanswered", "network cut"),
    ("postgresql", "before COMMIT", "engine killed"),
    ("postgresql", "before COMMIT", "frozen and woken"),
    ("postgresql", "before COMMIT", "backend ended"),
    ("postgresql", "loading", "network cut"),
    ("postgresql", "in a hook", "jrunner killed"),
    ("mariadb", "after COMMIT, unanswered", "both killed"),
    ("mariadb", "after COMMIT, unanswered", "network cut"),
    ("mariadb", "before COMMIT", "backend ended"),
    ("mariadb", "before COMMIT", "frozen and woken"),
    ("mariadb", "loaded", "jrunner killed"),
    ("mariadb", "loaded", "frozen and woken"),
    ("postgresql", "loaded", "frozen and woken"),
    ("sqlite", "last change answered", "both killed"),
    ("sqlite", "before the merge", "store locked"),
    ("sqlite", "before the hooks", "engine killed"),
}
#: Where a load without staging differs from one with it: it loads in its merge's transaction.
DIRECT_AT = frozenset(
    [
        "loading",
        "loaded",
        "before the merge",
        "last change answered",
        "before COMMIT",
        "after COMMIT, unanswered",
    ]
)
QUICK_DIRECT = {
    ("postgresql", "full directly", "loaded", "both killed"),
    ("postgresql", "append directly", "loaded", "frozen and woken"),
    ("postgresql", "append directly", "after COMMIT, unanswered", "network cut"),
    ("mariadb", "append directly", "loaded", "engine killed"),
    ("mariadb", "full directly", "before COMMIT", "backend ended"),
    ("sqlite", "append directly", "last change answered", "both killed"),
}


def possible(kind: str, checkpoint: Checkpoint, fault: Fault, strategy: str) -> bool:
    """Whether there is such a cell."""
    if kind == "sqlite" and (checkpoint.request or fault in ON_A_WIRE):
        return False
    if fault in VARIANTS and checkpoint.request and checkpoint.name not in ELSEWHERE:
        return False
    if fault in BY_COMMAND and checkpoint.request:
        return False
    if "watermark" in checkpoint.name and strategy != "append":
        return False
    return not (kind == "mariadb" and fault == "server crashed")  # its crash would take the other tests' server away


def _cell(kind: str, strategy: str, checkpoint: Checkpoint, fault: Fault, *, chosen: bool) -> object:
    marks = [getattr(pytest.mark, kind)] if kind != "sqlite" else []
    marks += [] if chosen else [pytest.mark.all_faults]
    name = f"{kind}-{strategy}-{fault}-{checkpoint.name}".replace(" ", "_")
    return pytest.param(kind, strategy, checkpoint, fault, id=name, marks=marks)


def cells() -> list[object]:
    found = []
    for kind in KINDS:
        for place, checkpoint in enumerate(CHECKPOINTS):
            for number, fault in enumerate(FAULTS):
                strategies = [one for one in STRATEGIES if possible(kind, checkpoint, fault, one)]
                quick = (kind, checkpoint.name, fault) in QUICK
                for strategy in strategies:
                    chosen = quick and strategy == strategies[(place + number) % len(strategies)]
                    found.append(_cell(kind, strategy, checkpoint, fault, chosen=chosen))
                if checkpoint.name in DIRECT_AT:
                    for strategy in DIRECTLY:
                        if possible(kind, checkpoint, fault, DIRECTLY[strategy]):
                            chosen = (kind, strategy, checkpoint.name, fault) in QUICK_DIRECT
                            found.append(_cell(kind, strategy, checkpoint, fault, chosen=chosen))
    # Neighbours are alike: in this order, whatever part is played is a fair sample of all.
    Random(0).shuffle(found)
    return found


@pytest.mark.parametrize(("kind", "strategy", "checkpoint", "fault"), cells())
def test_cell(
    sites: Sites,
    engines: Engines,
    report: Report,
    request: pytest.FixtureRequest,
    kind: str,
    strategy: str,
    checkpoint: Checkpoint,
    fault: Fault,
) -> None:
    with sites.use(kind, strategy, VARIANTS.get(fault, "plain"), request.getfixturevalue) as site:
        site.disturb(Random(f"{kind} {strategy} {checkpoint.name} {fault}"))
        Trial(site, engines, checkpoint, fault).report(report, fault)
