"""The switch on Dagster's *Automation* page and `enabled` are one thing: what was said last holds, wherever it was said.

Dagster keeps a state of its own for each schedule and sensor that somebody has switched there; it goes before what the code
says. What that state said when it was last looked at stands beside `enabled` in the store. So it can be told which of the two has
been changed since: a switch that says something else than it did was turned in Dagster, and `enabled` follows, written to the
audit and to the files; one that says what it did follows `enabled`. Our web server notes each turn with its user at once
(`serve/web.py`), and looks whenever definitions have changed; the reconcile sensor looks every ten seconds, for whoever switches
by Dagster's command, or runs pipekit inside of a Dagster of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipekit_dagster.build import Names
from pipekit_dagster.dagster_internals.instigation import said, switched, switches, turn
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.definitions.saving import save_changes
from pipekit_engine.errors import RecordChanged
from pipekit_engine.models import Schedule, Trigger
from pipekit_engine.store import Change, Store
from pipekit_engine.store.audit import BY_DAGSTER, version_of
from pipekit_web.server.auth import ANYONE
from pipekit_web.server.middleware import USER_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterInstance

    from pipekit_engine.config import Config
    from pipekit_engine.store.ticks import SwitchKind

_TRIES = 5


def sync_switches(
    store: Store, config: Config, instance: DagsterInstance, location: str, translator: DagsterPipekitTranslator
) -> list[str]:
    """Bring Dagster's switches of a code location and `enabled` together; what was changed, for a log."""
    names = Names.of(*store.definitions.load_checked(), translator)
    states, told = switches(instance, location), []
    wanted: dict[SwitchKind, Mapping[str, str]] = {"schedules": names.schedules, "triggers": names.sensors}
    for kind, dagster_names in wanted.items():
        for name, switch in store.ticks.switches(kind).items():
            state = states.get((kind, dagster_names.get(name, "")))
            says, should = said(state), "RUNNING" if switch.enabled else "STOPPED"
            if says in ("declared", should):
                if says != switch.seen:
                    store.ticks.note_switch(kind, name, says)
            elif switch.seen in (None, says):
                # A record that is new has nothing to do with the switch of an earlier one of its name.
                turn(instance, state, switch.enabled)
                store.ticks.note_switch(kind, name, should)
                told.append(f"{name} is switched {_word(switch.enabled)} in Dagster, as it is in the definitions")
            else:
                take_over(store, config, kind, name, says == "RUNNING", by=BY_DAGSTER)
                told.append(f"{name} was switched {_word(says == 'RUNNING')} in Dagster")
    return told


class NoteSwitches:
    """GraphQL middleware: where somebody turned a schedule or sensor on or off, the definition says so from then on."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def resolve(self, next_: Any, root: Any, info: Any, **arguments: Any) -> Any:
        """Resolve a field."""
        result = next_(root, info, **arguments)
        turned = switched(info, result, arguments)
        if turned is not None:
            kind, dagster_name, on = turned
            by = info.context.source.scope.get(USER_KEY, ANYONE).by
            with Store.open(self._config.database_url) as store:
                names = Names.of(*store.definitions.load_checked(), DagsterPipekitTranslator())
                known = names.schedules if kind == "schedules" else names.sensors
                for name in (name for name, its in known.items() if its == dagster_name):
                    take_over(store, self._config, kind, name, on, by=by)
        return result


def take_over(store: Store, config: Config, kind: SwitchKind, name: str, on: bool, *, by: str) -> None:
    """Write down that somebody switched a schedule or trigger in Dagster. Nothing else of the record changes."""
    for left in reversed(range(_TRIES)):
        record = store.definitions.find(kind, name)
        if not isinstance(record, (Schedule, Trigger)):
            return
        if record.enabled != on:
            change = Change("change", kind, name, record.model_copy(update={"enabled": on}))
            try:
                save_changes(store, config, [change], by=by, expected={(kind, name): version_of(record)})
            except RecordChanged:
                if left:
                    continue  # an apply was faster
                raise
        store.ticks.note_switch(kind, name, "RUNNING" if on else "STOPPED")
        return


def _word(on: bool) -> str:
    return "on" if on else "off"
