"""The folder that is imported: which of its files are shell scripts, and what a path in a script means."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path

from pipekit_engine.errors import ConfigurationError

_SUFFIXES = (".sh", ".ksh", ".bash")
_SHEBANG = re.compile(rb"#!.*\b(?:sh|bash|ksh|dash)\b")
#: Larger than any script or query.
_MAX_BYTES = 1_000_000


class Tree:
    """Files under a folder, by their paths relative to it. Only ever read."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigurationError(f"{root}: there is no such folder.")
        self.root = root

    @cached_property
    def files(self) -> list[str]:
        """All files of a script's size, hidden ones left out."""
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file() and path.stat().st_size <= _MAX_BYTES:
                    found.append(str(path.relative_to(self.root)))
        return found

    @cached_property
    def scripts(self) -> list[str]:
        """Shell scripts, by suffix or by their first line."""
        return [file for file in self.files if self._is_script(file)]

    @cached_property
    def crontabs(self) -> list[str]:
        """Files that look like crontabs, by name."""
        return [file for file in self.files if re.search(r"cron", Path(file).name, re.IGNORECASE)]

    def _is_script(self, file: str) -> bool:
        if file.endswith(_SUFFIXES):
            return True
        if "." in Path(file).name:
            return False
        with (self.root / file).open("rb") as stream:
            return _SHEBANG.match(stream.read(100)) is not None

    def read(self, file: str) -> str:
        """A file's text; what is not UTF-8 is read as Latin-1, as old scripts are."""
        data = (self.root / file).read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def find(self, path: str, folder: str) -> str | None:
        """The file that a path in a script means, the script working in `folder`.

        An absolute path is one of the machine that the scripts come from: its longest end that is here is taken.
        """
        if path.startswith(("/", "~", "$")):
            parts = [part for part in path.split("/") if part not in ("", "~")]
            candidates = ["/".join(parts[start:]) for start in range(len(parts))]
        else:
            candidates = [os.path.normpath(os.path.join(folder, path))]
        return next((item for item in candidates if item in self._known), None)

    def find_folder(self, path: str, folder: str) -> str | None:
        """The folder that `cd PATH` leads to; None when it is not one of these."""
        if path.startswith(("/", "~", "$")):
            parts = [part for part in path.split("/") if part not in ("", "~")]
            candidates = ["/".join(parts[start:]) for start in range(len(parts))]
            if parts and parts[-1] == self.root.resolve().name:
                return ""
        else:
            candidates = [os.path.normpath(os.path.join(folder, path))]
        for item in candidates:
            if item in (".", ""):
                return ""
            if not item.startswith("..") and (self.root / item).is_dir():
                return item
        return None

    @cached_property
    def _known(self) -> set[str]:
        return set(self.files)
