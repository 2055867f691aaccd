"""The structure of a shell script: commands, pipelines, loops, conditions, functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipekit_import.lexer import Lexer, Redirect, ShellSyntaxError, Token, Word


@dataclass
class Assignment:
    """`NAME=value` before or without a command."""

    name: str
    value: Word
    append: bool = False


@dataclass
class Simple:
    """A command with its words; without words, assignments alone."""

    line: int
    words: list[Word] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Pipeline:
    """`a | b`; one command is a pipeline of one."""

    commands: list[Node]


@dataclass
class AndOr:
    """`a && b || c`."""

    first: Node
    rest: list[tuple[str, Node]]


@dataclass
class For:
    """`for NAME in words`; `words` is None for the script's own arguments."""

    line: int
    name: str
    words: list[Word] | None
    body: list[Node]


@dataclass
class While:
    """`while condition; do body; done < input`."""

    line: int
    condition: list[Node]
    body: list[Node]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class If:
    """Conditions with what follows each, and what follows if none holds."""

    line: int
    branches: list[tuple[list[Node], list[Node]]]
    otherwise: list[Node] = field(default_factory=list)


@dataclass
class Case:
    """`case word in pattern) body ;; esac`."""

    line: int
    word: Word
    branches: list[tuple[list[Word], list[Node]]]


@dataclass
class Group:
    """`{ ... }` and `( ... )`."""

    body: list[Node]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Function:
    """`name() { ... }`."""

    name: str
    body: list[Node]


Node = Simple | Pipeline | AndOr | For | While | If | Case | Group | Function

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=", re.ASCII)
_RESERVED = {"then", "do", "done", "fi", "else", "elif", "esac", "}", "in"}


def parse(text: str, first_line: int = 1) -> list[Node]:
    """The commands of a script. Raises ShellSyntaxError."""
    parser = _Parser(Lexer(text, first_line).tokens())
    nodes = parser.block(())
    if parser.token.kind != "end":
        raise ShellSyntaxError(f"{parser.token.text!r} is not expected here", parser.token.line)
    return nodes


def walk(nodes: list[Node]) -> Iterator[Simple]:
    """All simple commands in all branches, without what stands in `$(...)`."""
    for node in nodes:
        if isinstance(node, Simple):
            yield node
        elif isinstance(node, Pipeline):
            yield from walk(node.commands)
        elif isinstance(node, AndOr):
            yield from walk([node.first, *(item for _, item in node.rest)])
        elif isinstance(node, While):
            yield from walk([*node.condition, *node.body])
        elif isinstance(node, If):
            for condition, body in node.branches:
                yield from walk([*condition, *body])
            yield from walk(node.otherwise)
        elif isinstance(node, Case):
            for _, body in node.branches:
                yield from walk(body)
        else:
            yield from walk(node.body)


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self.token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, *texts: str) -> bool:
        return self.token.kind in ("word", "operator") and self.token.text in texts

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise ShellSyntaxError(f"{text!r} is missing", self.token.line)
        self._advance()

    def _skip_newlines(self) -> None:
        while self._is("\n", ";"):
            self._advance()

    def block(self, ends: tuple[str, ...]) -> list[Node]:
        """Commands up to one of these words."""
        nodes: list[Node] = []
        while True:
            while self._is("\n", ";", "&"):
                self._advance()
            if self.token.kind == "end" or self._is(*ends) or (self._is(")", ";;") and ends):
                return nodes
            nodes.append(self._and_or())

    def _and_or(self) -> Node:
        first = self._pipeline()
        rest: list[tuple[str, Node]] = []
        while self._is("&&", "||"):
            operator = self._advance().text
            self._skip_newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, rest) if rest else first

    def _pipeline(self) -> Node:
        while self._is("!", "time"):
            self._advance()
        commands = [self._command()]
        while self._is("|"):
            self._advance()
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(commands) if len(commands) > 1 else commands[0]

    def _command(self) -> Node:
        token = self.token
        if token.kind == "operator" and token.text == "(":
            self._advance()
            body = self.block((")",))
            self._expect(")")
            return Group(body, self._redirects())
        if token.kind == "word":
            if token.text == "{":
                self._advance()
                body = self.block(("}",))
                self._expect("}")
                return Group(body, self._redirects())
            reader = {"for": self._for, "select": self._for, "while": self._while, "until": self._while, "if": self._if,
                      "case": self._case, "function": self._function}.get(token.text)  # fmt: skip
            if reader is not None:
                return reader()
            if token.text in _RESERVED:
                raise ShellSyntaxError(f"{token.text!r} is not expected here", token.line)
        return self._simple()

    def _simple(self) -> Node:
        found = Simple(self.token.line)
        while self.token.kind in ("word", "redirect"):
            token = self._advance()
            if token.redirect is not None:
                found.redirects.append(token.redirect)
                continue
            match = _ASSIGNMENT.match(token.text)
            if match and not found.words:
                value = token.text[match.end() :]
                if value == "" and self._is("("):
                    raise ShellSyntaxError("an array cannot be read", token.line)
                found.assignments.append(Assignment(match[1], Word(value, token.line), bool(match[2])))
                continue
            found.words.append(Word(token.text, token.line))
            if len(found.words) == 1 and self._is("(") and not found.assignments:
                self._advance()
                self._expect(")")
                return self._body_of(token.text)
        if not (found.words or found.assignments or found.redirects):
            raise ShellSyntaxError(f"{self.token.text!r} is not expected here", self.token.line)
        return found

    def _function(self) -> Node:
        self._advance()
        name = self._advance().text
        if self._is("("):
            self._advance()
            self._expect(")")
        return self._body_of(name)

    def _body_of(self, name: str) -> Function:
        self._skip_newlines()
        body = self._command()
        return Function(name, body.body if isinstance(body, Group) else [body])

    def _redirects(self) -> list[Redirect]:
        found = []
        while self.token.kind == "redirect":
            redirect = self._advance().redirect
            assert redirect is not None
            found.append(redirect)
        return found

    def _for(self) -> Node:
        line = self._advance().line
        name = self._advance().text
        words: list[Word] | None = None
        self._skip_newlines()
        if self._is("in"):
            self._advance()
            words = []
            while self.token.kind == "word":
                token = self._advance()
                words.append(Word(token.text, token.line))
            self._skip_newlines()
        self._expect("do")
        body = self.block(("done",))
        self._expect("done")
        self._redirects()
        return For(line, name, words, body)

    def _while(self) -> Node:
        line = self._advance().line
        condition = self.block(("do",))
        self._expect("do")
        body = self.block(("done",))
        self._expect("done")
        return While(line, condition, body, self._redirects())

    def _if(self) -> Node:
        found = If(self._advance().line, [])
        while True:
            condition = self.block(("then",))
            self._expect("then")
            found.branches.append((condition, self.block(("elif", "else", "fi"))))
            if self._is("elif"):
                self._advance()
                continue
            if self._is("else"):
                self._advance()
                found.otherwise = self.block(("fi",))
            self._expect("fi")
            self._redirects()
            return found

    def _case(self) -> Node:
        line = self._advance().line
        token = self._advance()
        found = Case(line, Word(token.text, token.line), [])
        self._skip_newlines()
        self._expect("in")
        while True:
            self._skip_newlines()
            if self._is("esac"):
                self._advance()
                self._redirects()
                return found
            if self._is("("):
                self._advance()
            patterns = [Word(self.token.text, self._advance().line)]
            while self._is("|"):
                self._advance()
                patterns.append(Word(self.token.text, self._advance().line))
            self._expect(")")
            found.branches.append((patterns, self.block((";;", "esac"))))
            if self._is(";;"):
                self._advance()
