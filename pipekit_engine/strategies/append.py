"""Only ever add rows."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy


class Append(Strategy):
    """Rows that are read again come twice: it rests on a watermark that never does."""

    name = "append"
    summary = "only ever add"
    statements = "`INSERT`"
    rerun = (
        "right if the watermark is asked of the destination itself (`SELECT max(id) FROM ...`) and no value comes twice; "
        "otherwise rows can double after an *unknown* outcome"
    )
    rereads = False
    loads_directly = True
    compares = False

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """INSERT."""
        return [merge.insert_all()]
