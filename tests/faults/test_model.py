"""Random changes of a source, random runs, random faults, against the model; a failure shrinks, and its seed is printed.

Each step of a machine is judged by `tests.faults.trial`: rows, records, locks, staging, processes.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.faults.breaking import FAULTS, VARIANTS, Fault
from tests.faults.checkpoints import CHECKPOINTS, Checkpoint
from tests.faults.conftest import MakeSite
from tests.faults.model import STRATEGIES
from tests.faults.site import Site
from tests.faults.test_matrix import KINDS, possible
from tests.faults.trial import Engines, Trial

amounts = st.integers(1, 12)
seeds = st.integers(0, 999)
#: What holds a lock for a minute, or waits for one, is left to the matrix.
SLOW_FAULTS = {"network silent", "network silent one way", "network slow", "frozen and woken", "server crashed"}
QUICK_FAULTS = [fault for fault in FAULTS if fault not in SLOW_FAULTS and fault not in VARIANTS]


class Machine(RuleBasedStateMachine):
    """One site, and what happens to it."""

    kind: str
    make_site: MakeSite
    engines: Engines
    site: Site

    @initialize(strategy=st.sampled_from(STRATEGIES))
    def prepare(self, strategy: str) -> None:
        self.site = self.make_site(self.kind, strategy)

    @rule(count=amounts)
    def insert(self, count: int) -> None:
        self.site.model.insert(count)

    @rule(seed=seeds, count=amounts)
    def change(self, seed: int, count: int) -> None:
        self.site.model.change(Random(seed), count)

    @rule(seed=seeds, count=amounts)
    def delete(self, seed: int, count: int) -> None:
        self.site.model.delete(Random(seed), count)

    @rule(count=amounts)
    def late(self, count: int) -> None:
        """Rows come with ids that were given out long ago: `append` may not see them."""
        self.site.model.come_late(count)

    @rule()
    def run(self) -> None:
        self.site.run()

    @rule(checkpoint=st.sampled_from(CHECKPOINTS), fault=st.sampled_from(QUICK_FAULTS))
    def break_run(self, checkpoint: Checkpoint, fault: Fault) -> None:
        if not possible(self.kind, checkpoint, fault, self.site.model.strategy):
            return
        trial = Trial(self.site, self.engines, checkpoint, fault)
        trial.execute()
        note(f"{fault} {checkpoint.name}: {'reached' if trial.came else 'not reached'}")

    @invariant()
    def destination_is_as_the_model_says(self) -> None:
        if hasattr(self, "site"):
            assert self.site.rows() == self.site.model.dest


def _play(kind: str, make_site: MakeSite, engines: Engines, *, examples: int, steps: int, derandomize: bool) -> None:
    def machine() -> Machine:
        made = Machine()
        made.kind, made.make_site, made.engines = kind, make_site, engines
        return made

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            print_blob=True,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.postgresql
def test_a_few_steps(make_site: MakeSite, engines: Engines) -> None:
    """The same steps each time, into PostgreSQL."""
    _play("postgresql", make_site, engines, examples=3, steps=8, derandomize=True)


@pytest.mark.all_faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=getattr(pytest.mark, k)) if k != "sqlite" else k for k in KINDS]
)
def test_many_steps(make_site: MakeSite, engines: Engines, kind: str) -> None:
    _play(kind, make_site, engines, examples=40, steps=15, derandomize=False)
