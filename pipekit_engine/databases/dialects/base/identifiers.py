"""Names in SQL: quoting, folding, lengths, qualified names, and the quotes that a person would leave out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.introspection import TableInfo
from pipekit_engine.databases.names import TableName, split_name
from pipekit_engine.databases.reserved_words import RESERVED
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column

#: A name of letters, digits and underscores, which has a default case.
_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: One that needs no quotes anywhere: what begins with an underscore is no name for Oracle, DB2 and Derby.
_UNQUOTED = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def literal(text: str) -> str:
    """A standard SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


class Identifiers:
    """What a kind is called, what it promises, and how names and texts are written in its SQL."""

    kind: ClassVar[str]
    label: ClassVar[str]
    capabilities: ClassVar[Capabilities] = Capabilities()
    #: Words in lower case that this kind reserves beside the common ones of `reserved_words.RESERVED`.
    reserved: ClassVar[frozenset[str]] = frozenset()
    #: A query that gives 1 in a session where "..." is a name though the kind takes it for a literal; None: there is none.
    ansi_quotes_sql: ClassVar[str | None] = None

    def quote_identifier(self, name: str) -> str:
        """The identifier, quoted, its closing quote doubled. Raises ConfigurationError for one that cannot be quoted."""
        if not name or "\0" in name:
            raise ConfigurationError(
                f"{name!r} cannot be a name in {self.label}: it is empty or holds a NUL character."
            )
        opening, closing = self.capabilities.quote
        return opening + name.replace(closing, closing * 2) + closing

    def column_list(self, columns: Sequence[Column]) -> str:
        """The columns' names, quoted, with commas between."""
        return ", ".join(self.quote_identifier(column.name) for column in columns)

    def check_identifier(self, name: str) -> None:
        """Raise ConfigurationError for a name that the database would cut or refuse."""
        unit = self.capabilities.identifier_unit
        length = len(name.encode()) if unit == "bytes" else len(name)
        if length > self.capabilities.max_identifier_length:
            raise ConfigurationError(
                f"{name!r} is {length} {unit} long; {self.label} allows {self.capabilities.max_identifier_length}. "
                "Give it a shorter name (a column: `columns` with a dest_name)."
            )

    def fold(self, name: str) -> str:
        """The name that an unquoted identifier stands for."""
        return self.capabilities.syntax.fold(name)

    def table_name(self, text: str) -> TableName:
        """Read `schema.table` as the database would in SQL: unquoted parts are folded, quoted ones exact.

        Raises ConfigurationError for a name that is malformed or too long.
        """
        parts = [part.text if part.quoted else self.fold(part.text) for part in split_name(text)]
        for part in parts:
            self.check_identifier(part)
        padded = [None] * (3 - len(parts)) + parts
        return TableName(name=parts[-1], schema=padded[1], catalog=padded[0])

    def table_sql(self, table: TableName) -> str:
        """The table's name, each part quoted."""
        return ".".join(self.quote_identifier(part) for part in table.parts)

    def column_name_from(self, source: Identifiers, name: str) -> str:
        """Name that a source column gets in a new table here.

        A name in the source's own default case becomes one in the default case here (ORDER_ID of Oracle is order_id in
        PostgreSQL), so that nobody has to quote it; any other spelling is kept exactly.
        """
        regular = _REGULAR.fullmatch(name) is not None
        if regular and source.capabilities.syntax.unquoted_case == "upper" and name == name.upper():
            return self.fold(name.lower())
        if regular and self.capabilities.syntax.unquoted_case == "upper" and name == name.lower():
            return self.fold(name)
        return name

    def compared_column(self, name: str) -> str:
        """The same text for names that one table cannot have both: where no case is folded, it does not tell columns apart."""
        return name.casefold() if self.capabilities.syntax.unquoted_case == "keep" else name

    def identifier(self, name: str) -> str:
        """The name as a person would write it in SQL: quoted only where the database would read another name."""
        if (
            self.capabilities.reads_plain_names
            and _UNQUOTED.fullmatch(name)
            and self.fold(name) == name
            and name.lower() not in RESERVED
            and name.lower() not in self.reserved
        ):
            return name
        return self.quote_identifier(name)

    def source_name(self, table: TableInfo | TableName) -> str:
        """A table's qualified name for a query or a `dest_table`, quoted only where needed."""
        parts = table.table_name.parts if isinstance(table, TableInfo) else table.parts
        return ".".join(self.identifier(part) for part in parts)

    def dest_name(self, name: str, *, schema: str | None = None, source: Identifiers | None = None) -> str:
        """A `dest_table` text for a table of this name here; `schema` is a schema of this database.

        With the `source` it came from, the name is put into this database's default case (`ORDERS` of Oracle is `orders` in
        PostgreSQL); `table_name` reads the text back as the same name.
        """
        own = self.column_name_from(source, name) if source is not None else name
        return self.source_name(TableName(own, schema))

    def string_literal(self, text: str) -> str:
        """A string literal that holds exactly this text, whatever stands in it."""
        return literal(text)
