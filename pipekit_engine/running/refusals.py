"""What a database's refusal of rows means in terms of the module, where its own words leave a person alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line

if TYPE_CHECKING:
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.planning.plan import RunPlan


def explain(plan: RunPlan, dialect: Dialect, message: str) -> str:
    """A sentence to put behind a database's error, beginning with a line break; empty where nothing is known."""
    said = first_line(message)  # the statement stands behind it, with all columns
    known = dialect.capabilities
    if re.search(known.null_message, said, re.IGNORECASE):
        for name in plan.not_null:
            if re.search(rf"{known.column_in_message}{re.escape(name)}(?!\w)", said, re.IGNORECASE):
                if name in plan.key:
                    return (
                        f"\nThe query gave a NULL for {name}, a column of the key: such a row could never be matched again. "
                        "Leave it out in the query, or give it a value."
                    )
                change = dialect.drop_not_null_sql(dialect.table_name(plan.module.dest_table), name)
                way = f"let the column be NULL ({change})" if change else "make the table anew without NOT NULL"
                return (
                    f"\nColumn {name} of {plan.dest_table} is NOT NULL, and the query gave a NULL for it. If the source allows "
                    f"NULL there now, {way}; else give a value in the query (COALESCE), or leave such rows out."
                )
        fed = any(
            re.search(rf"{known.column_in_message}{re.escape(item.dest)}(?!\w)", said, re.IGNORECASE)
            for item in plan.columns
        )
        if not fed and not plan.creates_destination:
            return (
                f"\nThe query does not give that column of {plan.dest_table}: give it a default there, let it be NULL, or add it "
                "to the query."
            )
    if known.long_key_message and re.search(known.long_key_message, message, re.IGNORECASE):
        return (
            f"\nA text of the key ({', '.join(plan.key) or 'of the destination'}) is longer than an index of {dialect.label} "
            "holds. Choose a shorter key, such as a hash of that text made in the query."
        )
    exists = re.search(known.exists_message, message, re.IGNORECASE)
    if plan.creates_destination and exists and "_key" in message.lower():
        return (
            "\nAn index of that name is there already, perhaps left by a table that was renamed. Rename or drop that index, "
            "or choose another dest_table."
        )
    return ""
