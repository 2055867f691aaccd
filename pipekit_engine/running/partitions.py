"""Which partitions of a module are filled, which one a run takes, and a backfill: several of them, one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.text import counted, first_line
from pipekit_engine.errors import ConfigurationError, ModuleLocked, PipekitError, RunCancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipekit_engine.common.partitions import Partition, PartitionRange
    from pipekit_engine.models import Module, RunRecord
    from pipekit_engine.running.cancellation import CancelToken
    from pipekit_engine.store.partitions import Filled

#: Seconds between two tries of a partition whose module is run by somebody else.
_LOCK_POLL_S = 0.5


@dataclass(frozen=True)
class PartitionState:
    """A partition that has ended, or that was filled before its end, and the newest run that filled it.

    `partly`: that run began before the partition's end, so rows may have come since.
    """

    item: PartitionRange
    state: Literal["filled", "partly", "missing"]
    filled: Filled | None = None


def partition_states(
    partition: Partition, filled: Mapping[str, Filled], now: datetime | None = None
) -> list[PartitionState]:
    """How each partition stands that has ended by now, the oldest first, and each later one that a run has begun to fill."""
    states, known = [], dict(filled)
    for item in partition.complete(now or datetime.now(timezone.utc)):
        states.append(_state(partition, item, known.pop(item.key, None)))
    for key in sorted(known):
        states.append(_state(partition, partition.find(key), known[key]))
    return states


def _state(partition: Partition, item: PartitionRange, filled: Filled | None) -> PartitionState:
    if filled is None:
        return PartitionState(item, "missing")
    return PartitionState(item, "filled" if partition.has_ended(item, filled.started_at) else "partly", filled)


def partition_summary(module: Module, filled: Mapping[str, Filled]) -> str:
    """How many partitions of a module are filled, such as `364 of 366 days`; empty for one without any."""
    partition = module.partition
    if partition is None:
        return ""
    # Counted, not listed: ten years of hours are many.
    now = datetime.now(timezone.utc)
    states = [_state(partition, partition.find(key), item) for key, item in filled.items()]
    done = sum(state.state == "filled" for state in states)
    later = sum(not partition.has_ended(state.item, now) for state in states)
    return f"{done:,} of {counted(partition.count_complete(now) + later, partition.unit)}"


def partition_to_run(module: Module, wanted: str | None, now: datetime | None = None) -> PartitionRange | None:
    """The partition that a run of a module takes: the one in which `wanted` lies, else the newest that has ended by `now`.

    None for a module without partitions. Raises ConfigurationError when there is none to take.
    """
    partition = module.partition
    if partition is None:
        if wanted is not None:
            raise ConfigurationError(
                f"Module {module.name} has no partitions: it has no `partition` in its definition."
            )
        return None
    if wanted is not None:
        return partition.find(wanted)
    newest = partition.newest(now or datetime.now(timezone.utc))
    if newest is None:
        why = (
            "numbers have no newest one" if partition.by == "number" else f"its first {partition.by} has not ended yet"
        )
        raise ConfigurationError(
            f"Module {module.name} has partitions, and {why}: name one with --partition, or fill several with "
            f"`pipekit backfill {module.name}`."
        )
    return newest


@dataclass(frozen=True)
class PartitionEvent:
    """What a backfill does: it begins a partition, waits for the module's lock, or went on after a partition failed."""

    kind: Literal["started", "waiting", "done", "failed"]
    key: str
    #: Place of the partition among those of the backfill, from 1 on, and how many these are.
    number: int
    of: int
    message: str = ""


@dataclass
class BackfillResult:
    """How a backfill ended. The runs are in the order in which they ran; `skipped` were filled before."""

    module: str
    runs: list[RunRecord] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    #: Partitions that a failure or a cancel left out.
    left: list[str] = field(default_factory=list)
    cancelled: bool = False


def chosen_partitions(
    module: Module,
    filled: Mapping[str, Filled],
    since: str | None,
    until: str | None,
    *,
    keys: Sequence[str] | None = None,
    again: bool,
) -> tuple[list[str], list[str]]:
    """The keys of a backfill in order, and of those that are filled already and are left out unless `again`.

    From the partition in which `since` lies to the one in which `until` lies, both included; the first, and the last that has
    ended, where they are not given; or those in which the `keys` lie. Raises ConfigurationError.
    """
    partition = module.partition
    assert partition is not None, "the module has partitions"
    first = partition.find(since or partition.start)
    now = datetime.now(timezone.utc)
    if keys is not None:
        named = {item.key: item for item in map(partition.find, keys)}
        items = sorted(named.values(), key=lambda item: item.start)
    elif until is None:
        items = list(partition.complete(now, first.start))
    else:
        last = partition.find(until)
        if last.start < first.start:  # type: ignore[operator]
            raise ConfigurationError(f"The backfill ends with partition {last.key}, before it begins with {first.key}.")
        items = partition.until(first, last)
    states = [_state(partition, item, filled.get(item.key)) for item in items]
    wanted = [state.item.key for state in states if again or state.state != "filled"]
    return wanted, [state.item.key for state in states if not again and state.state == "filled"]


def ends_backfill(error: PipekitError, *, keep_going: bool) -> bool:
    """Whether a partition's failure leaves out those after it; a cancel and a wrong definition do, whatever was asked for."""
    return not keep_going or isinstance(error, ConfigurationError | RunCancelled)


class Backfill:
    """Runs partitions of one module one after another in this process, on warm sessions."""

    def __init__(
        self,
        module: str,
        keys: Sequence[str],
        run: Callable[[str], RunRecord],
        *,
        cancel: CancelToken,
        keep_going: bool,
        on_partition: Callable[[PartitionEvent], None],
    ) -> None:
        self._keys = keys
        self._run = run
        self._cancel = cancel
        self._keep_going = keep_going
        self._on_partition = on_partition
        self.result = BackfillResult(module)

    def execute(self) -> BackfillResult:
        """Run them all. A failure ends it unless `keep_going`, a cancel always; what was filled stays filled."""
        result = self.result
        for number, key in enumerate(self._keys, 1):
            if self._cancel.is_set():
                result.cancelled = True
                result.left = list(self._keys[number - 1 :])
                break
            try:
                self._tell("started", key, number)
                result.runs.append(self._run_when_free(key, number))
                self._tell("done", key, number)
            except RunCancelled as error:
                result.cancelled = True
                result.left = list(self._keys[number - 1 :])
                if error.record is not None:
                    result.runs.append(error.record)
                break
            except PipekitError as error:
                if error.record is not None:
                    result.runs.append(error.record)
                result.failed[key] = str(error)
                self._tell("failed", key, number, first_line(error))
                if ends_backfill(error, keep_going=self._keep_going):
                    result.left = list(self._keys[number:])
                    break
        return result

    def _run_when_free(self, key: str, number: int) -> RunRecord:
        told = False
        while True:
            try:
                return self._run(key)
            except ModuleLocked as locked:
                if not told:
                    self._tell("waiting", key, number, first_line(locked))
                told = True
                if self._cancel.sleep(_LOCK_POLL_S):
                    raise RunCancelled("cancelled while the module was run by somebody else") from locked

    def _tell(
        self, kind: Literal["started", "waiting", "done", "failed"], key: str, number: int, text: str = ""
    ) -> None:
        self._on_partition(PartitionEvent(kind, key, number, len(self._keys), text))
