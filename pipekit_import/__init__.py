"""Reads the shell scripts that people wrap around jrunner, and proposes pipekit definitions for them.

    result = import_folder(Path("/opt/etl"))
    write_files(result, Path("definitions"))

The way of a script: `lexer` and `syntax` read it, `interpreter` (on `loads`, `tools` and `state`) follows it without running
anything and gives an `Account` of the loads and the SQL that it would run; `sqlread` says what each statement does, by the
engine's reader of SQL; `infer` makes modules of it, `proposals` puts all scripts and crontabs together, `report` writes. What
cannot be told is never guessed: it is noted with its file and line.
"""

from pipekit_import.proposals import Import, import_folder
from pipekit_import.report import as_json, files_of, report, write_files

__all__ = ["Import", "as_json", "files_of", "import_folder", "report", "write_files"]
