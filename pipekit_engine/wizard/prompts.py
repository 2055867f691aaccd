"""Questions on a terminal: a line of text, a secret, yes or no, one of a list, some of a list.

All of them are worked by keys alone and draw only a few lines, so they do well over a slow line. A list filters as one types:
every word that was typed must occur. Enter on a list that nothing fits does nothing: it never takes what is not shown.
Escape goes back (`Back`), Ctrl-C ends everything (KeyboardInterrupt). An answered question leaves one line behind.
"""

from __future__ import annotations

import os
import shutil
import sys
import termios
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.validation import ValidationError, Validator

from pipekit_engine.errors import ConfigurationError

T = TypeVar("T")

#: Rows of a list that are shown at once.
LIST_ROWS = 12
#: Seconds after which an Escape by itself is one, and not the start of an arrow key.
_ESCAPE_S = 0.1

STYLE = Style.from_dict(
    {
        "mark": "ansigreen bold",
        "question": "bold",
        "answer": "ansicyan",
        "here": "reverse",
        "dim": "ansibrightblack",
        "tick": "ansigreen bold",
        "filter": "ansiyellow",
        "validation-toolbar": "ansired",
    }
)

_MARK = ("class:mark", "? ")


class Back(Exception):
    """The person wants to change the answer before this one."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """An entry of a list. `detail` stands behind the title; both are searched."""

    value: T
    title: str
    detail: str = ""


@dataclass(frozen=True)
class Edit(Generic[T]):
    """Not an answer yet: this entry is to be edited, and these are ticked by now."""

    value: T
    ticked: list[T]


class Terminal:
    """The questions, on this process's terminal. A context manager."""

    def __init__(self) -> None:
        self.output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
        # The terminal would answer them among the keys that are typed.
        self.output.enable_cpr = False
        self._session = create_app_session(output=self.output)
        self._before: list[Any] | None = None

    def __enter__(self) -> Terminal:
        self._session.__enter__()
        self._before = termios.tcgetattr(sys.stdin)
        quiet = termios.tcgetattr(sys.stdin)
        # Between two questions, too: what is typed ahead is not shown, and Enter stays Enter. Ctrl-C goes on to be a signal.
        quiet[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
        self._session.__exit__(*error)

    def say(self, text: str = "", style: str = "") -> None:
        """A line that stays."""
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        print_formatted_text(FormattedText([(style, text)]), style=STYLE)

    def _answered(self, question: str, answer: str) -> None:
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        parts = [_MARK, ("class:question", f"{question}: "), ("class:answer", answer)]
        print_formatted_text(FormattedText(parts), style=STYLE)

    # Text

    def text(
        self,
        question: str,
        default: str = "",
        *,
        check: Callable[[str], object] | None = None,
        secret: bool = False,
        optional: bool = False,
    ) -> str:
        """A line of text, without blanks around it. `check` raises ConfigurationError for one that will not do."""

        def validate(text: str) -> str | None:
            if not text.strip():
                return None if optional else "Type something, or Esc to go back."
            try:
                if check is not None:
                    check(text.strip())
            except (ConfigurationError, ValueError) as error:
                return " ".join(str(error).split())
            return None

        session: PromptSession[str] = PromptSession(
            [_MARK, ("class:question", f"{question}: ")],
            style=STYLE,
            is_password=secret,
            validator=_Check(validate),
            validate_while_typing=False,
            key_bindings=_back_key(),
            enable_suspend=False,
        )
        answer = session.prompt(default=default, in_thread=False)
        return answer if secret else answer.strip()

    def sql(self, question: str, default: str = "") -> str:
        """SQL of several lines, typed or pasted; it ends with Enter after a semicolon, or with Ctrl-D."""
        bindings = _back_key()

        @bindings.add("enter")
        def _enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.text.rstrip().endswith(";") and not buffer.document.text_after_cursor.strip():
                buffer.validate_and_handle()
            else:
                buffer.insert_text("\n")

        @bindings.add("c-d")
        def _end(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        self.say(f"  {question} (any number of lines; end with ; and Enter, or Ctrl-D)", "class:dim")
        session: PromptSession[str] = PromptSession(
            [_MARK],
            style=STYLE,
            multiline=True,
            prompt_continuation="  ",
            validator=_Check(lambda text: None if text.strip(" \t\n;") else "Type a query, or Esc to go back."),
            validate_while_typing=False,
            key_bindings=bindings,
            enable_suspend=False,
        )
        return session.prompt(default=default).strip().removesuffix(";").rstrip()

    def yes(self, question: str, *, default: bool = True) -> bool:
        """Yes or no, by one key."""
        choices = [Choice(True, "yes"), Choice(False, "no")]
        return self.pick(question, choices if default else choices[::-1])

    # Lists

    def pick(self, question: str, choices: Sequence[Choice[T]], *, start: T | None = None, quiet: bool = False) -> T:
        """One of the choices. `start` is the one that Enter takes at once; `quiet` leaves no line behind."""
        answer = _List(question, choices, start=start).ask()
        assert isinstance(answer, Choice)
        if not quiet:
            self._answered(question, answer.title)
        return answer.value  # type: ignore[no-any-return]

    def tick(
        self,
        question: str,
        choices: Sequence[Choice[T]],
        *,
        ticked: Collection[T] = (),
        start: T | None = None,
        editable: bool = False,
        shown: Callable[[list[T]], str] | None = None,
    ) -> list[T] | Edit[T]:
        """Some of the choices; with nothing ticked, Enter takes the one that it stands on.

        With `editable`, the right arrow asks to edit an entry; the caller asks again afterwards.
        """
        answer = _List(question, choices, many=True, ticked=ticked, start=start, editable=editable).ask()
        if isinstance(answer, Edit):
            return answer
        assert isinstance(answer, list)
        titles = ", ".join(choice.title for choice in answer)
        values = [choice.value for choice in answer]
        width = max(20, shutil.get_terminal_size().columns - len(question) - 6)
        text = shown(values) if shown else titles
        self._answered(question, text if len(text) <= width else text[: width - 1] + "…")
        return values


class _Check(Validator):
    """A function that gives what is wrong with a text, as prompt_toolkit wants it."""

    def __init__(self, problem: Callable[[str], str | None]) -> None:
        self._problem = problem

    def validate(self, document: Any) -> None:
        """Raise ValidationError for a text that will not do."""
        problem = self._problem(document.text)
        if problem is not None:
            raise ValidationError(cursor_position=len(document.text), message=problem)


def _back_key() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("escape", eager=True)
    def _escape(event: KeyPressEvent) -> None:
        event.app.exit(exception=Back())

    return bindings


class _List(Generic[T]):
    """A list on the screen: a filter, a window of rows, a line of help."""

    def __init__(
        self,
        question: str,
        choices: Sequence[Choice[T]],
        *,
        many: bool = False,
        ticked: Collection[T] = (),
        start: T | None = None,
        editable: bool = False,
    ) -> None:
        self._question = question
        self._choices = choices
        self._many = many
        self._editable = editable
        self._ticked = {index for index, choice in enumerate(choices) if choice.value in ticked}
        self._texts = [f"{choice.title} {choice.detail}".casefold() for choice in choices]
        self._width = min(40, max((len(choice.title) for choice in choices), default=0))
        self._filter = ""
        self._shown = list(range(len(choices)))
        self._at = next(
            (index for index, choice in enumerate(choices) if start is not None and choice.value == start), 0
        )
        self._top = 0

    def ask(self) -> Any:
        """The chosen Choice, or with `many` a list of them or an Edit."""
        window = Window(FormattedTextControl(self._draw, focusable=True, show_cursor=False), dont_extend_height=True)
        app: Application[Any] = Application(
            Layout(window), key_bindings=self._keys(), style=STYLE, erase_when_done=True, full_screen=False
        )
        app.ttimeoutlen = _ESCAPE_S
        return app.run()

    def _draw(self) -> StyleAndTextTuples:
        size = shutil.get_terminal_size()
        rows = max(3, min(LIST_ROWS, size.lines - 4))
        self._top = max(min(self._top, self._at), self._at - rows + 1, 0)
        lines: StyleAndTextTuples = [
            _MARK,
            ("class:question", self._question + " "),
            ("class:filter", self._filter),
            ("", "\n"),
        ]
        for place in range(self._top, min(self._top + rows, len(self._shown))):
            lines += self._line(place, size.columns)
        if not self._shown:
            lines.append(("class:dim", "  nothing fits; Backspace\n"))
        lines.append(("class:dim", self._help()[: size.columns - 1]))
        return lines

    def _line(self, place: int, width: int) -> StyleAndTextTuples:
        index = self._shown[place]
        choice = self._choices[index]
        here = place == self._at
        box = ("[x] " if index in self._ticked else "[ ] ") if self._many else ""
        title = f"{'> ' if here else '  '}{box}{choice.title.ljust(self._width) if choice.detail else choice.title}"
        detail = f"  {choice.detail}"[: max(0, width - len(title) - 1)] if choice.detail else ""
        style = "class:here" if here else "class:tick" if index in self._ticked else ""
        return [(style, title[: width - 1]), ("class:dim", detail), ("", "\n")]

    def _help(self) -> str:
        total = len(self._choices)
        count = f"{len(self._shown):,} of {total:,}" if self._filter or total > LIST_ROWS else ""
        ticked = f"{len(self._ticked):,} ticked" if self._many and self._ticked else ""
        keys = ["type to filter", "↑↓ move", "Enter done" if self._many else "Enter choose"]
        if self._many:
            keys.insert(2, "Space tick, Ctrl-A all")
        if self._editable:
            keys.append("→ edit")
        return "  " + " · ".join(part for part in (count, ticked, *keys, "Esc back") if part)

    def _refilter(self, text: str) -> None:
        words = text.casefold().split()
        before = self._shown[self._at] if self._shown else None
        self._filter = text
        fitting = [index for index, title in enumerate(self._texts) if all(word in title for word in words)]
        self._shown = sorted(fitting, key=self._rank) if words else fitting
        # The first that fits while typing; where one stood before when the filter is taken away.
        self._at = self._shown.index(before) if not words and before is not None else 0
        self._top = 0

    def _rank(self, index: int) -> tuple[bool, bool]:
        """The very name first, then names that begin so: `orders` before `old_orders`."""
        title, text = self._choices[index].title.casefold(), self._filter.casefold().strip()
        name = title.rpartition(".")[2]
        return text not in (title, name), not (title.startswith(text) or name.startswith(text))

    def _move(self, steps: int) -> None:
        if self._shown:
            step_over = abs(steps) > 1
            self._at = (
                max(0, min(len(self._shown) - 1, self._at + steps))
                if step_over
                else (self._at + steps) % len(self._shown)
            )

    def _keys(self) -> KeyBindings:
        bindings = KeyBindings()
        moves = {"up": -1, "c-p": -1, "down": 1, "c-n": 1, "pageup": -LIST_ROWS, "pagedown": LIST_ROWS}
        moves |= {"home": -len(self._choices) - 2, "end": len(self._choices) + 2}
        for key, steps in moves.items():

            @bindings.add(key)
            def _move(event: KeyPressEvent, steps: int = steps) -> None:
                self._move(steps)

        @bindings.add("enter")
        @bindings.add("c-j")
        def _enter(event: KeyPressEvent) -> None:
            if self._many and self._ticked:
                event.app.exit(result=[self._choices[index] for index in sorted(self._ticked)])
            elif self._shown:
                choice = self._choices[self._shown[self._at]]
                event.app.exit(result=[choice] if self._many else choice)

        @bindings.add("escape", eager=True)
        def _escape(event: KeyPressEvent) -> None:
            event.app.exit(exception=Back())

        @bindings.add("c-c")
        def _interrupt(event: KeyPressEvent) -> None:
            event.app.exit(exception=KeyboardInterrupt())

        @bindings.add("backspace")
        def _backspace(event: KeyPressEvent) -> None:
            self._refilter(self._filter[:-1])

        @bindings.add("c-u")
        def _clear(event: KeyPressEvent) -> None:
            self._refilter("")

        if self._many:

            @bindings.add("c-a")
            def _all(event: KeyPressEvent) -> None:
                shown = set(self._shown)
                self._ticked = self._ticked - shown if shown <= self._ticked else self._ticked | shown

        if self._editable:

            @bindings.add("right")
            def _edit(event: KeyPressEvent) -> None:
                if self._shown:
                    ticked = [self._choices[index].value for index in sorted(self._ticked)]
                    event.app.exit(result=Edit(self._choices[self._shown[self._at]].value, ticked))

        @bindings.add(Keys.Any)
        def _type(event: KeyPressEvent) -> None:
            data = event.data
            if self._many and data == " ":
                if self._shown:
                    self._ticked ^= {self._shown[self._at]}
            elif data.isprintable() and data not in ANSI_SEQUENCES:
                self._refilter(self._filter + data)

        return bindings
