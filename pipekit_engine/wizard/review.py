"""The last screens: every answer on one list to be changed, then the YAML, the SQL and the first rows, then yes or no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.models import Hook
from pipekit_engine.strategies import STRATEGIES
from pipekit_engine.wizard.batch import GroupWish, check_free, check_name, outcome_of
from pipekit_engine.wizard.builder import learn_texts, refuse_unordered
from pipekit_engine.wizard.draft import Draft, DraftColumn, usual_name
from pipekit_engine.wizard.prompts import Back, Choice, Edit
from pipekit_engine.wizard.proposals import candidate, candidates, propose
from pipekit_engine.wizard.screens import ask_group
from pipekit_engine.wizard.tables import preview_table, proposals_table
from pipekit_engine.wizard.watermark_sql import check_lag
from pipekit_engine.wizard.writing import preview_yaml

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions, RunOn
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.wizard.prompts import Terminal
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder

Verdict = Literal["write", "run"]

PREVIEW_ROWS = 10


class Review:
    """The review of one or many drafts. After `hold`, `drafts` and `group` are what is to be written."""

    def __init__(
        self,
        terminal: Terminal,
        workspace: Workspace,
        folder: Folder,
        drafts: list[Draft],
        group: GroupWish | None,
        *,
        force: bool,
    ) -> None:
        self.drafts = drafts
        self.group = group
        self._terminal = terminal
        self._workspace = workspace
        self._folder = folder
        self._force = force

    def hold(self) -> Verdict | None:
        """Ask until the person writes or ends it."""
        while True:
            chosen = self._menu_of_one(0) if len(self.drafts) == 1 else self._menu_of_many()
            if chosen == "quit":
                return None
            try:
                self._show()
            except PipekitError as error:
                self._terminal.say(f"  {error}", "ansired")
                continue
            verdict = self._confirm()
            if verdict == "quit":
                return None
            if verdict != "change":
                return verdict  # type: ignore[return-value]

    def _confirm(self) -> str:
        files = ", ".join(str(self._folder.module_file(draft.name)) for draft in self.drafts[:2])
        if len(self.drafts) > 2:
            files = f"{len(self.drafts)} files in {self._folder.path}"
        run = "run it now" if len(self.drafts) == 1 else "run them now"
        choices = [
            Choice("run", f"Write, apply and {run}", files),
            Choice("write", "Write and apply", files),
            Choice("change", "Change something"),
            Choice("quit", "Quit without writing"),
        ]
        try:
            return self._terminal.pick("All of this", choices)
        except Back:
            return "change"

    def _show(self) -> None:
        """The YAML, the plan and the first rows of what will be read."""
        for draft in self.drafts:
            check_free(draft.name, self._folder, self._stored, force=self._force)
        outcome = outcome_of(self._workspace, self.drafts, self.group, self._folder)
        # A file that cannot be added to is told here, where another group can still be chosen.
        self._folder.texts(outcome, self._stored)
        plans: list[tuple[Draft, RunPlan]] = []
        for draft in self.drafts:
            plans.append((draft, self._workspace.rehearse(outcome.modules[draft.name])))
        say = self._terminal.say
        if len(plans) > 1:
            proposals_table([(draft.title, draft, "") for draft, _ in plans])
            say(f"  {len(plans)} modules were planned against the databases without an error.", "class:tick")
            return
        draft, plan = plans[0]
        say()
        say(preview_yaml(outcome).rstrip())
        say()
        say(plan.render().rstrip(), "class:dim")
        say()
        rows = self._workspace.browser(draft.source).preview(plan.source_sql, PREVIEW_ROWS)
        preview_table(rows)
        for caution in (*draft.cautions, *draft.notes, *plan.warnings):
            say(f"  note: {caution}", "ansiyellow")

    @property
    def _stored(self) -> Definitions:
        return self._workspace.engine.store.definitions.load_checked()[0]

    # Many

    def _menu_of_many(self) -> str:
        while True:
            proposals_table([(draft.title, draft, "") for draft in self.drafts])
            choices: list[Choice[str | int]] = [
                Choice("show", "Looks right: go on"),
                Choice("group", "Group", _group_text(self.group)),
                Choice("quit", "Quit without writing"),
            ]
            choices += [
                Choice(index, f"Change {draft.name}", f"{draft.strategy} {draft.mark.column if draft.mark else ''}")
                for index, draft in enumerate(self.drafts)
            ]
            try:
                chosen = self._terminal.pick("Proposed", choices, quiet=True)
                if isinstance(chosen, int):
                    if self._menu_of_one(chosen, inner=True) == "drop":
                        del self.drafts[chosen]
                elif chosen == "group":
                    self.group = ask_group(self._terminal, self._workspace, self._folder, self.drafts[0].source)
                else:
                    return chosen
            except Back:
                continue
            if len(self.drafts) <= 1:
                return self._menu_of_one(0) if self.drafts else "quit"

    # One

    def _menu_of_one(self, index: int, *, inner: bool = False) -> str:
        edits: dict[str, Callable[[Draft], None]] = {
            "name": self._edit_name,
            "columns": self._edit_columns,
            "dest": self._edit_dest,
            "strategy": self._edit_strategy,
            "key": self._edit_key,
            "watermark": self._edit_watermark,
            "lag": self._edit_lag,
            "default": self._edit_default,
            "window": self._edit_window,
            "hooks": self._edit_hooks,
        }
        start = "show"
        while True:
            draft = self.drafts[index]
            chosen = self._terminal.pick(
                f"{draft.title} → {draft.dest}", self._entries(draft, inner=inner), start=start, quiet=True
            )
            if chosen in ("show", "quit", "drop"):
                return chosen
            start = chosen
            try:
                if chosen == "group":
                    self.group = ask_group(self._terminal, self._workspace, self._folder, self.drafts[0].source)
                else:
                    changed = replace(
                        draft, columns=[replace(column) for column in draft.columns], notes=list(draft.notes)
                    )
                    edits[chosen](changed)
                    changed.module()
                    self.drafts[index] = changed
            except Back:
                continue
            except PipekitError as error:
                self._terminal.say(f"  {error}", "ansired")

    def _entries(self, draft: Draft, *, inner: bool) -> list[Choice[str]]:
        moved = [column for column in draft.columns if column.included]
        altered = sum(
            1 for column in moved if column.dest_type or column.dest_name.casefold() != column.name.casefold()
        )
        columns = f"{len(moved)} of {len(draft.columns)}" + (f", {altered} renamed or retyped" if altered else "")
        state = "exists" if draft.there is not None else "will be made"
        entries = [
            Choice("show", "Looks right: go on" if inner else "Looks right: show the SQL and the first rows"),
            Choice("name", "Module name", draft.name),
            Choice("columns", "Columns", columns),
            Choice("dest", "Destination table", f"{draft.dest_table} ({state})"),
            Choice("strategy", "Strategy", f"{draft.strategy}: {draft.reason}"),
            Choice("key", "Key", ", ".join(draft.key) or "none"),
            Choice("watermark", "Watermark", f"{draft.mark.column}: {draft.mark.reason}" if draft.mark else "none"),
        ]
        if draft.mark is not None:
            entries += [
                Choice("lag", "Lag", f"{draft.lag.words} are read again each time" if draft.lag.amount else "none"),
                Choice("default", "First run from", draft.default or ""),
                Choice(
                    "window",
                    "Half-open window",
                    "up to the source's clock" if draft.bounded else "no",
                ),
            ]
        entries.append(
            Choice("hooks", "Hooks", "; ".join(f"{hook.run_on}: {hook.sql}" for hook in draft.hooks) or "none")
        )
        if inner:
            return [*entries, Choice("drop", "Leave this table out")]
        return [*entries, Choice("group", "Group", _group_text(self.group)), Choice("quit", "Quit without writing")]

    def _edit_name(self, draft: Draft) -> None:
        draft.name = self._terminal.text(
            "Module name",
            draft.name,
            check=lambda name: check_name(name, self._workspace, self._folder, force=self._force),
        )

    def _edit_columns(self, draft: Draft) -> None:
        ticked = [column.name for column in draft.columns if column.included]
        start = None
        while True:
            answer = self._terminal.tick(
                "Columns to move",
                [Choice(column.name, column.name, self._becomes(draft, column)) for column in draft.columns],
                ticked=ticked,
                start=start,
                editable=True,
                shown=lambda names: f"{len(names)} of {len(draft.columns)}",
            )
            if isinstance(answer, Edit):
                ticked, start = answer.ticked, answer.value
                self._edit_column(draft, next(column for column in draft.columns if column.name == answer.value))
                continue
            for column in draft.columns:
                column.included = column.name in answer
            return

    def _edit_column(self, draft: Draft, column: DraftColumn) -> None:
        try:
            question, check = f"{column.name}: name in {draft.dest}", draft.dest_dialect.check_identifier
            name = self._terminal.text(question, column.dest_name, check=check)
            column.dest_name = name
            mapped = draft.dest_dialect.map_type(column.info.column, draft.source_dialect).sql
            if draft.there is not None and any(there.name == name for there in draft.there):
                return  # the type is the existing column's
            chosen = self._terminal.text(f"{column.name}: type in {draft.dest}", column.dest_type or mapped)
            column.dest_type = None if chosen == mapped else chosen
        except Back:
            return

    def _becomes(self, draft: Draft, column: DraftColumn) -> str:
        described = column.info.column
        mapped = draft.dest_dialect.map_type(described, draft.source_dialect)
        name = "" if column.dest_name == column.name else f"{column.dest_name} "
        parts = [f"{described.type_name or described.family} → {name}{column.dest_type or mapped.sql}"]
        if column.info.key_position is not None:
            parts.append("key")
        if mapped.warning and not column.dest_type:
            parts.append(f"! {mapped.warning}")
        if column.info.remarks:
            parts.append(" ".join(column.info.remarks.split()))
        return " · ".join(parts)

    def _edit_dest(self, draft: Draft) -> None:
        draft.dest_table = self._terminal.text(
            "Destination table", draft.dest_table, check=draft.dest_dialect.table_name
        )
        before = draft.there
        draft.there = self._workspace.table_columns(draft.dest, draft.dest_table)
        for column in draft.columns:
            if column.dest_name == usual_name(column.name, draft.source_dialect, draft.dest_dialect, before):
                column.dest_name = usual_name(column.name, draft.source_dialect, draft.dest_dialect, draft.there)

    def _edit_strategy(self, draft: Draft) -> None:
        # Those that tell rows apart come first.
        by_key = sorted(STRATEGIES.values(), key=lambda strategy: (not strategy.unique_key, not strategy.needs_key))
        choices = [Choice(strategy.name, strategy.name, strategy.summary) for strategy in by_key]
        name = self._terminal.pick("Strategy", choices, start=draft.strategy)
        needs_key = STRATEGIES[name].needs_key
        key: tuple[str, ...] | None = draft.key or None
        if needs_key and not key and not any(info.key_position for info in draft.infos):
            key = self._ask_key(draft)
        self._repropose(draft, strategy=name, key=key if needs_key else None)

    def _edit_key(self, draft: Draft) -> None:
        key = self._ask_key(draft)
        strategy = draft.strategy if STRATEGIES[draft.strategy].needs_key else None
        self._repropose(draft, strategy=strategy, key=key)

    def _ask_key(self, draft: Draft) -> tuple[str, ...]:
        columns = [
            Choice(column.name, column.name, self._becomes(draft, column))
            for column in draft.columns
            if column.included
        ]
        answer = self._terminal.tick("Key: columns that tell rows apart", columns, ticked=draft.key)
        assert not isinstance(answer, Edit)
        return tuple(answer)

    def _edit_watermark(self, draft: Draft) -> None:
        as_text = draft.source_dialect.times_are_text
        found = candidates(draft.table.name if draft.table else draft.name, draft.ordered, times_as_text=as_text)
        known = {item.column for item in found}
        choices = [Choice(item.column, item.column, item.reason) for item in found]
        for info in draft.ordered:
            if info.column.name not in known:
                try:
                    other = candidate(draft.name, draft.infos, info.column.name, times_as_text=as_text)
                except ConfigurationError:
                    continue
                choices.append(
                    Choice(other.column, other.column, f"{info.column.type_name}: only if it grows with every row")
                )
        choices.append(Choice("none", "‹ none: read everything each time ›"))
        column = self._terminal.pick("Watermark", choices, start=draft.mark.column if draft.mark else None)
        if column != "none":
            learn_texts(draft, self._workspace.browser(draft.source), [column])
            refuse_unordered(draft, column)
        key: tuple[str, ...] | None = draft.key or None
        keep = draft.strategy if draft.mark is not None or not STRATEGIES[draft.strategy].replaces_table else None
        strategy: str | None = None if column == "none" and draft.mark is not None else keep
        if (
            column != "none"
            and key is None
            and not any(info.key_position for info in draft.infos)
            and (strategy is None or STRATEGIES[strategy].rereads)
        ):
            key = self._ask_key(draft)
        self._repropose(draft, strategy=strategy, key=key, watermark=column)

    def _repropose(
        self, draft: Draft, *, strategy: str | None, key: tuple[str, ...] | None, watermark: str | None = None
    ) -> None:
        if watermark is None and draft.mark is not None:
            drops = strategy is not None and STRATEGIES[strategy].replaces_table
            watermark = None if drops else draft.mark.column
        before = draft.mark, draft.lag, draft.default, draft.bounded
        proposal = propose(
            draft.table.name if draft.table else draft.name,
            draft.ordered,
            strategy=strategy,
            key=key,
            watermark=watermark,
            times_as_text=draft.source_dialect.times_are_text,
        )
        if proposal.watermark == before[0] and before[0] is not None:
            draft.take(proposal, lag=before[1] if STRATEGIES[proposal.strategy].rereads else None, default=before[2])
            draft.bounded = before[3]
        else:
            draft.take(proposal)

    def _edit_lag(self, draft: Draft) -> None:
        def check(text: str) -> None:
            assert draft.mark is not None
            check_lag(Lag.parse(text), draft.mark)

        question = "Lag (10m, 2h, 1d; a number for a number; 0 for none)"
        draft.lag = Lag.parse(self._terminal.text(question, str(draft.lag), check=check))

    def _edit_default(self, draft: Draft) -> None:
        draft.default = self._terminal.text("The first run takes rows from", draft.default or "")

    def _edit_window(self, draft: Draft) -> None:
        draft.bounded = self._terminal.yes(
            "End each window at the source's clock (half-open)", default=not draft.bounded
        )

    def _edit_hooks(self, draft: Draft) -> None:
        choices: list[Choice[int]] = [Choice(-1, "‹ add SQL that runs after the merge ›")]
        choices += [Choice(i, f"remove: {hook.sql}", hook.run_on) for i, hook in enumerate(draft.hooks)]
        chosen = self._terminal.pick("Hooks", choices, quiet=True)
        if chosen >= 0:
            draft.hooks = tuple(hook for i, hook in enumerate(draft.hooks) if i != chosen)
            return
        when: list[Choice[RunOn]] = [
            Choice("success", "after a success"),
            Choice("failure", "after a failure"),
            Choice("always", "always"),
        ]
        run_on = self._terminal.pick("When", when)
        suggestion = draft.dest_dialect.analyze_sql(draft.dest_table)
        draft.hooks = (*draft.hooks, Hook(sql=self._terminal.text("SQL on the destination", suggestion), run_on=run_on))


def _group_text(group: GroupWish | None) -> str:
    if group is None:
        return "none"
    return f"{group.name}, {group.cron} {group.timezone}" if group.cron else group.name
