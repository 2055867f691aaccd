"""Random changes of a source, random runs, random faults, against the model; a failure shrinks, and its seed is printed.

Each step of a machine is judged by `tests.faults.trial`: rows, records, locks, staging, processes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipekit_engine.errors import RunError
from tests.faults.breaking import FAULTS, VARIANTS, Fault
from tests.faults.checkpoints import CHECKPOINTS, Checkpoint
from tests.faults.conftest import MakeSite
from tests.faults.model import STRATEGIES, SQLiteSource
from tests.faults.site import MODULE, Site
from tests.faults.test_matrix import KINDS, possible
from tests.faults.trial import Engines, Trial

amounts = st.integers(1, 12)
seeds = st.integers(0, 999)
EXTRA, MOST_EXTRA = ("note_a", "note_b", "note_c"), 2
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
        bench = self.site.bench
        bench.module("bad", query="SELECT nothing FROM nowhere", dest_table="bad")
        bench.group(("bad",), (MODULE,), name="stops", on_failure="stop")
        bench.group(("bad",), (MODULE,), name="goes-on")
        bench.engine.session_pool = lambda *_: nullcontext(bench.pool)  # type: ignore[assignment, method-assign]

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
        self.notes_are_those_of_the_source()

    @rule()
    def dry_run(self) -> None:
        assert self.site.bench.run(MODULE, dry_run=True).status == "dry_run"

    @rule(stops=st.booleans())
    def run_group(self, stops: bool) -> None:
        """A member before ours fails: ours runs, unless the group stops there."""
        found = self.site.bench.engine.run_group("stops" if stops else "goes-on")
        assert found.record.status == "error"
        assert found.record.error
        assert found.skipped == ([MODULE] if stops else [])
        assert [run.status for run in found.runs] == (["error"] if stops else ["error", "success"])
        if not stops:
            self.site.model.dest = self.site.model.after_run()

    # Changes of the source's definition

    @rule()
    def add_column(self) -> None:
        source = self.source()
        if len(source.extra) < MOST_EXTRA:
            column = next(name for name in EXTRA if name not in source.extra)
            source.alter(f"ADD COLUMN {column} TEXT")
            source.extra.append(column)
            self.site.model.write()

    @precondition(lambda self: hasattr(self, "site") and self.source().extra)
    @rule()
    def drop_column(self) -> None:
        source = self.source()
        source.alter(f"DROP COLUMN {source.extra.pop()}")

    @rule()
    def a_column_outgrows_the_destination(self) -> None:
        """The source's column is widened, and a value comes that the destination's cannot hold: SQLite's takes it."""
        model = self.site.model
        model.last_id += 1
        model.rows[model.last_id] = (0, 2**40 + model.last_id)
        model.write()
        if self.kind == "sqlite":
            self.site.run()
        else:
            self.is_refused()
        del model.rows[model.last_id]
        model.write()

    @rule()
    def the_table_is_gone(self) -> None:
        self.source().alter("RENAME TO t_old")
        self.is_refused()
        with closing(sqlite3.connect(self.source().file)) as source, source:
            source.execute("ALTER TABLE t_old RENAME TO t")

    @rule(seed=seeds, count=amounts)
    def keys_repeat(self, seed: int, count: int) -> None:
        """`upsert` cannot tell which of two rows with one key to take, and refuses both."""
        model = self.site.model
        model.repeat_keys(Random(seed), count)
        if model.strategy == "upsert" and model.twins:
            self.is_refused()
        else:
            self.site.run()
        model.twins.clear()
        model.write()

    def is_refused(self) -> None:
        """A run fails, says why, and leaves nothing behind."""
        with pytest.raises(RunError):
            self.site.bench.run(MODULE)
        bench = self.site.bench
        run = bench.store.runs.list(MODULE, limit=1)[0]
        assert run.status == "error"
        assert run.error

    def source(self) -> SQLiteSource:
        assert isinstance(self.site.model.source, SQLiteSource)
        return self.site.model.source

    def notes_are_those_of_the_source(self) -> None:
        """After a run the columns that came later hold, in the rows that were read, what they hold at the source."""
        model = self.site.model
        if model.strategy == "append":
            return
        for column in self.source().extra:
            kept = self.site.bench.rows(f"SELECT id, version, {column} FROM t")
            read = {(str(key), str(rest[1])) for key, rest in model.rows.items()}
            wrong = [row for row in kept if row[:2] in read and row[2] != f"n{row[1]}"]
            assert not wrong, f"{column} is not what the source says"

    @rule(checkpoint=st.sampled_from(CHECKPOINTS), fault=st.sampled_from(QUICK_FAULTS))
    def break_run(self, checkpoint: Checkpoint, fault: Fault) -> None:
        if not possible(self.kind, checkpoint, fault, self.site.model.strategy):
            return
        trial = Trial(self.site, self.engines, checkpoint, fault)
        trial.execute()
        note(f"{fault} {checkpoint.name}: {'reached' if trial.came else 'not reached'}")

    @invariant()
    def destination_is_as_the_model_says(self) -> None:
        """And no lock, staging table or file is left, and every run has ended and says how."""
        if not hasattr(self, "site"):
            return
        bench = self.site.bench
        assert self.site.rows() == self.site.model.dest
        assert bench.store.leases.all() == []
        assert bench.staging_left() == []
        for run in bench.store.runs.list(limit=5):
            assert run.status in ("success", "error", "cancelled", "dry_run")
            assert run.status in ("success", "dry_run") or run.error


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
