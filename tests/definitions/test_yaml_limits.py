"""Definitions that are bombs: a few lines that stand for billions of values, or nest until the parser's stack ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipekit_engine.config import load_config
from pipekit_engine.definitions.load import read_definitions
from pipekit_engine.errors import ConfigurationError

_CHAIN = "\n".join(["x-0: &a0 [q]", *(f"x-{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10))])
_WIDE = "x-a: &a {" + ", ".join(f"k{i}: 1" for i in range(3000)) + "}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{_CHAIN}\ngroups: {{g: {{members: *a9}}}}", r"its aliases \(\*a\d\) repeat more than"),
        (f"{_WIDE}\nmodules: {{m: {{<<: [{', '.join(['*a'] * 3000)}]}}}}", r"its aliases \(\*a\) repeat more than"),
        ("modules: " + "[" * 200_000, "is nested more than 50 deep"),
        ("\n".join(" " * i + "a:" for i in range(3000)), "is nested more than 50 deep"),
    ],
)
def test_a_bomb_is_a_problem_of_its_file(tmp_path: Path, text: str, told: str) -> None:
    """It took 90 seconds, all memory, or the whole process (a segmentation fault)."""
    file = tmp_path / "pipekit.yaml"
    file.write_text(text)
    began = time.monotonic()
    loaded = read_definitions(file)
    assert loaded.unreadable
    with pytest.raises(ConfigurationError, match=rf"pipekit\.yaml:\d+: {told}"):
        load_config(file)
    assert time.monotonic() - began < 5
    assert str(loaded.problems[0]).startswith(f"{file}:")


def test_usual_anchors_are_no_bomb(tmp_path: Path) -> None:
    modules = "".join(f"  m{i}:\n    <<: *usual\n    query: SELECT {i}\n    dest_table: t{i}\n" for i in range(1500))
    file = tmp_path / "m.yaml"
    file.write_text(
        f"x-usual: &usual {{source: a, dest: b, strategy: full, tags: {{a: b, c: d}}}}\nmodules:\n{modules}"
    )
    loaded = read_definitions(file)
    assert not loaded.problems
    assert len(loaded.definitions.modules) == 1500
