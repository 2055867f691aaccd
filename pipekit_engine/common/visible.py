"""Characters that a terminal would obey, or that reorder what a person reads, as what they are.

Texts of databases (values, names, remarks, messages of servers) come from whoever may write there.
"""

from __future__ import annotations

import html
import re

#: C0 but tab and newline, DEL, C1, marks and embeddings of writing direction, separators that some take for a new line.
_CODES = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_HIDDEN = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CODES if chr(code) not in "\t\n"}
_JSON = {code: f"\\u{code:04x}" for code in _HIDDEN if code >= 0x20}


def visible(text: str) -> str:
    """The text with such characters escaped (`\\x1b[2J`); a line's end is a newline, whichever it was."""
    return text.replace("\r\n", "\n").translate(_HIDDEN)


def visible_json(text: str) -> str:
    """JSON text with such characters escaped as JSON does it: the values stay what they are."""
    return text.translate(_JSON)


def fenced(text: str, language: str = "sql") -> str:
    """A code block of Markdown that nothing in the text can end."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def plain_markdown(text: str) -> str:
    """A text that Markdown shows as it is: no emphasis, link, image or HTML comes of it."""
    return html.escape(re.sub(r"([\\`*\[\]!])", r"\\\1", visible(text)), quote=False)
