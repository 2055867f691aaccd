"""How each database writes literals, comments and names: what a reader of SQL text has to be told.

Every database kind declares one such record (`Dialect.capabilities.syntax`). A reader is given it at each call and has no
default; a caller that does not know the database says so with `UNKNOWN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Case = Literal["lower", "upper", "keep"]


@dataclass(frozen=True)
class SqlSyntax:
    """The spelling of SQL in one kind of database. The defaults are the SQL standard's."""

    #: The dialect of sqlglot that reads its queries; "" is sqlglot's general one.
    parser: str = ""
    #: What the database makes of an unquoted name.
    unquoted_case: Case = "keep"
    #: Names that differ in letter case alone are one name, quoted or not.
    any_case: bool = False
    #: False where nobody knows how literals are written: a backslash before a quote may then mean two things.
    certain: bool = True
    #: In '...' (and in "..." where that is a literal) a backslash escapes the next character.
    backslash_escapes: bool = False
    #: "..." is a literal, not a name.
    double_quoted_strings: bool = False
    #: E'...' is a literal with backslash escapes.
    escape_strings: bool = False
    #: $$...$$ and $tag$...$tag$ are literals.
    dollar_strings: bool = False
    #: q'[...]' is a literal.
    q_strings: bool = False
    #: # begins a comment.
    hash_comments: bool = False
    #: -- begins a comment only before a blank.
    spaced_dashes: bool = False
    #: /* ... /* ... */ ... */ is one comment.
    nested_comments: bool = False
    #: [...] is a name always, or only where no array's index can stand, or never.
    brackets: Literal["names", "maybe", "never"] = "never"
    #: Characters beside letters, digits and _ that an unquoted name may hold after its first one.
    name_characters: str = "$#@"
    #: `name = expression` in a select list names the column.
    equals_names: bool = False
    #: A WITH clause sees its own name only after WITH RECURSIVE.
    recursive_keyword: bool = False

    def fold(self, name: str) -> str:
        """The name that an unquoted identifier stands for."""
        return {"lower": name.lower, "upper": name.upper, "keep": name.__str__}[self.unquoted_case]()


#: For a text whose database is not known: whatever some database reads as a literal is taken for one.
UNKNOWN = SqlSyntax(certain=False, escape_strings=True, dollar_strings=True, q_strings=True, brackets="maybe")
