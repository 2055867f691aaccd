"""Texts of databases on terminals, in JSON and in Markdown: shown, never obeyed."""

from __future__ import annotations

import io
import json

from rich.text import Text

from pipekit_engine.common.consoles import PlainConsole
from pipekit_engine.common.visible import fenced, plain_markdown, visible, visible_json

HOSTILE = "a\x1b[2J\x1b]52;c;ZXZpbA==\x07\x9b2J\x7f\u202eb\u2066c\r\rd\u2028e"


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert visible("Zürich\t\u200d👩\u200d💻\r\n日本") == "Zürich\t\u200d👩\u200d💻\n日本"
    shown = visible(HOSTILE)
    assert shown == "a\\x1b[2J\\x1b]52;c;ZXZpbA==\\x07\\x9b2J\\x7f\\u202eb\\u2066c\\x0d\\x0dd\\u2028e"
    assert visible(shown) == shown
    assert json.loads(visible_json(json.dumps(HOSTILE, ensure_ascii=False))) == HOSTILE
    assert "\x9b" not in visible_json(json.dumps(HOSTILE, ensure_ascii=False))


def test_a_console_gives_the_terminal_only_its_own_orders() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, color_system="standard", width=200)
    console.print(HOSTILE, style="red", markup=False)
    console.print(Text.assemble(("x", "bold"), HOSTILE))
    written = file.getvalue()
    assert "\x1b[31m" in written
    assert not any(char in written for char in ("\x1b[2J", "\x1b]52", "\x07", "\x9b", "\u202e", "\u2066"))


def test_markdown_of_a_text_is_its_text() -> None:
    assert fenced("SELECT 1") == "```sql\nSELECT 1\n```"
    assert fenced("SELECT `a`\n```\n<script>") == "````sql\nSELECT `a`\n```\n<script>\n````"
    assert plain_markdown("t_1 <img src=x onerror=y> [a](javascript:b) ![c](d) `e` **f**") == (
        "t_1 &lt;img src=x onerror=y&gt; \\[a\\](javascript:b) \\!\\[c\\](d) \\`e\\` \\*\\*f\\*\\*"
    )
