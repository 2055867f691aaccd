"""`pipekit: ignore PK101` in a comment: on the line of a finding, or on the line that names the record for all of it.

The comment may be YAML's (`# pipekit: ignore PK112 we like it sorted`) or, inside a block of SQL, the SQL's own (`-- pipekit:
ignore PK112`). Codes are always named: nothing silences all rules at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.lint.findings import RULES, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMENT = re.compile(r"(?:#|--)\s*pipekit:\s*ignore\s+((?:PK\d{3}[,\s]*)+)", re.IGNORECASE)


@dataclass
class Ignores:
    """The ignore comments of some files, and which of them were needed."""

    comments: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    needed: set[tuple[str, int, str]] = field(default_factory=set)

    @classmethod
    def read(cls, files: Iterable[Path]) -> Ignores:
        """Find the comments; a file that cannot be read has none (and is a finding already)."""
        found = cls()
        for file in files:
            try:
                text = file.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                match = _COMMENT.search(line)
                if match:
                    codes = {code.upper() for code in re.findall(r"PK\d{3}", match[1], re.IGNORECASE)}
                    found.comments[str(file), number] = codes
        return found

    def covers(self, finding: Finding, record_line: int | None) -> bool:
        """Whether a comment silences the finding, in its own line or in the one that names its record."""
        for line in (finding.line, record_line):
            if finding.file is None or line is None:
                continue
            if finding.code in self.comments.get((finding.file, line), ()):
                self.needed.add((finding.file, line, finding.code))
                return True
        return False

    def unneeded(self) -> list[Finding]:
        """Comments that silenced nothing."""
        found = []
        for (file, line), codes in self.comments.items():
            for code in sorted(codes):
                if (file, line, code) not in self.needed:
                    what = "nothing to ignore" if code in RULES else "there is no such rule"
                    found.append(Finding("PK003", "info", "", "", f"{code}: {what}.", "Take it away.", file, line))
        return found
