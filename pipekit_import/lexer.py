"""A shell script as tokens: words with their quotes, operators, redirections with their here-documents.

Enough of POSIX sh, bash and ksh to read the scripts that people wrap around jrunner. Nothing is ever run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipekit_engine.errors import ConfigurationError


class ShellSyntaxError(ConfigurationError):
    """The text is no shell script that could be read; `line` says where reading stopped."""

    def __init__(self, message: str, line: int) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True)
class Word:
    """A word as written, quotes and all, and the line at which it begins."""

    raw: str
    line: int


@dataclass
class Redirect:
    """`> file`, `< file`, `<< END`: `body` is a here-document's text, `literal` when its end word was quoted."""

    operator: str
    target: Word
    fd: int | None = None
    body: str | None = None
    body_line: int = 0
    literal: bool = False


TokenKind = Literal["word", "operator", "redirect", "end"]


@dataclass
class Token:
    """One token; newlines are operators."""

    kind: TokenKind
    text: str
    line: int
    redirect: Redirect | None = None


_OPERATORS = (";;", "&&", "||", ";", "&", "|", "(", ")", "\n")
_REDIRECTS = ("<<<", "<<-", "<<", ">>", "<&", ">&", "&>", ">|", "<", ">")
_META = " \t\r\n;&|()<>"


@dataclass
class Lexer:
    """Reads a script's text token by token."""

    text: str
    first_line: int = 1
    _at: int = 0
    _line: int = 0
    _pending: list[Redirect] = field(default_factory=list)

    def tokens(self) -> list[Token]:
        """All tokens; the last one is of kind "end". Raises ShellSyntaxError."""
        self._line = self.first_line
        found: list[Token] = []
        while True:
            self._skip_blanks()
            if self._at >= len(self.text):
                found.append(Token("end", "", self._line))
                return found
            found.append(self._next())

    def _skip_blanks(self) -> None:
        text = self.text
        while self._at < len(text):
            if text[self._at] in " \t\r":
                self._at += 1
            elif text.startswith("\\\n", self._at) or text.startswith("\\\r\n", self._at):
                self._at += 2 if text[self._at + 1] == "\n" else 3
                self._line += 1
            elif text[self._at] == "#":
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            else:
                return

    def _next(self) -> Token:
        line = self._line
        for operator in _REDIRECTS:
            if self.text.startswith(operator, self._at):
                return self._redirect(operator, None)
        for operator in _OPERATORS:
            if self.text.startswith(operator, self._at):
                self._at += len(operator)
                if operator == "\n":
                    self._line += 1
                    self._read_documents()
                return Token("operator", operator, line)
        word = self._word()
        if word.isdigit() and self._at < len(self.text) and self.text[self._at] in "<>":
            operator = next(item for item in _REDIRECTS if self.text.startswith(item, self._at))
            return self._redirect(operator, int(word))
        return Token("word", word, line)

    def _redirect(self, operator: str, fd: int | None) -> Token:
        line = self._line
        self._at += len(operator)
        if self.text.startswith("(", self._at):
            raise ShellSyntaxError("process substitution, `<(...)`, cannot be read", line)
        self._skip_blanks()
        target = Word(self._word(), self._line)
        redirect = Redirect(operator, target, fd)
        if operator in ("<<", "<<-"):
            redirect.literal = any(quote in target.raw for quote in "'\"\\")
            self._pending.append(redirect)
        return Token("redirect", operator, line, redirect)

    def _read_documents(self) -> None:
        for redirect in self._pending:
            end = redirect.target.raw.translate({ord(quote): None for quote in "'\"\\"})
            redirect.body_line = self._line
            lines: list[str] = []
            while True:
                if self._at >= len(self.text):
                    raise ShellSyntaxError(f"the here-document that ends with {end} never ends", redirect.target.line)
                stop = self.text.find("\n", self._at)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self._at : stop].rstrip("\r")
                self._at = min(stop + 1, len(self.text))
                self._line += 1
                if redirect.operator == "<<-":
                    line = line.lstrip("\t")
                if line == end:
                    break
                lines.append(line)
            redirect.body = "".join(f"{line}\n" for line in lines)
        self._pending.clear()

    def _word(self) -> str:
        start = self._at
        text = self.text
        while self._at < len(text) and text[self._at] not in _META:
            self._at = skip_part(text, self._at, self._line)
        word = text[start : self._at]
        self._line += word.count("\n")
        if not word:
            raise ShellSyntaxError("a word is missing", self._line)
        return word


def skip_part(text: str, at: int, line: int = 0) -> int:
    """Position after the character, quoted string or expansion that begins at `at`. Raises ShellSyntaxError."""
    char = text[at]
    if char == "\\":
        return min(at + 2, len(text))
    if char == "'" or text.startswith("$'", at):
        end = text.find("'", at + (1 if char == "'" else 2))
        if end < 0:
            raise ShellSyntaxError("a single quote is never closed", line)
        return end + 1
    if char == '"':
        return _skip_until(text, at + 1, '"', line)
    if char == "`":
        return _skip_until(text, at + 1, "`", line, nested=False)
    if text.startswith("$((", at):
        end = text.find("))", at)
        if end >= 0:
            return end + 2
    if text.startswith("$(", at):
        return _skip_until(text, at + 2, ")", line)
    if text.startswith("${", at):
        return _skip_until(text, at + 2, "}", line)
    return at + 1


def _skip_until(text: str, at: int, end: str, line: int, *, nested: bool = True) -> int:
    depth = 0
    while at < len(text):
        char = text[at]
        if char == end and depth == 0:
            return at + 1
        if char == "\\":
            at += 2
        elif nested and end == '"' and char in "'":
            at += 1  # a single quote is a character inside double quotes
        elif nested and (char in "'\"`" or text.startswith(("$(", "${"), at)):
            at = skip_part(text, at, line)
        else:
            if end == ")" and char == "(":
                depth += 1
            elif end == ")" and char == ")":
                depth -= 1
            at += 1
    raise ShellSyntaxError(f"{end} is missing", line)
