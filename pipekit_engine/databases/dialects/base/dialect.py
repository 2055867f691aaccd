"""`Dialect`, the base of all kinds of databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.catalog import CatalogQueries
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import KeyEquality
from pipekit_engine.databases.dialects.base.merging import MergeStatements
from pipekit_engine.databases.dialects.base.ranges import RangeStatements
from pipekit_engine.databases.dialects.base.tables import TableStatements
from pipekit_engine.databases.dialects.base.types import TypeSystem
from pipekit_engine.databases.dialects.base.ways_in import WaysIn


class Dialect(CatalogQueries, TypeSystem, TableStatements, MergeStatements, KeyEquality, RangeStatements):
    """One kind of database. Stateless; `get_dialect(kind)` gives the instance.

    A kind reads as data first (driver, capabilities, type table), code second (the few statements that it spells
    differently).
    """

    #: What it is, in a few words, where its name does not say it.
    about: ClassVar[str] = ""
    #: The drivers that serve it, the one to take first. Empty: any driver, registered by hand.
    drivers: ClassVar[tuple[JdbcDriver, ...]] = ()
    #: Drivers of databases that have no kind of their own, as the tests load them: installed by their artifact's name only.
    other_drivers: ClassVar[tuple[JdbcDriver, ...]] = ()
    #: pipekit's own tests certify this kind on a real database (`docs/certificates`).
    certified_here: ClassVar[bool] = False
    #: What a certification names beside the product: queries for collation, isolation and the like.
    server_facts: ClassVar[Mapping[str, str]] = {}
    #: Columns that a person may have made and that hold less than most, each with a shape of `certify/values.py` to try in it.
    own_columns: ClassVar[Mapping[str, str]] = {}
    #: Command-line programs that log in to it, as the import of scripts meets them.
    clients: ClassVar[tuple[str, ...]] = ()
    #: A connection has a user and mostly a password.
    needs_login: ClassVar[bool] = True
    #: What stands behind a URL's prefix is a path or a name, never a login.
    url_is_path: ClassVar[bool] = False
    #: A database is a file that one process opens to write, or several to read: a run waits for it, and gives it back.
    one_process: ClassVar[bool] = False
    #: Properties of its drivers, in lower case, that run SQL or code, or read, write or fetch files; see `driver_settings`.
    risky_settings: ClassVar[frozenset[str]] = frozenset()
    #: Properties of its drivers, in lower case, with which rows are changed without a word, and how.
    wrong_settings: ClassVar[Mapping[str, str]] = {}
    #: By the driver's class, how it is told of TLS and tunnels.
    ways_in: ClassVar[Mapping[str, WaysIn]] = {}
    #: What to do about errors, the first that fits; those of the kind and of its drivers.
    advices: ClassVar[tuple[Advice, ...]] = ()
    #: Forms of its URLs that do, each with the name by which the configuration may allow it, and a pattern.
    risky_urls: ClassVar[Mapping[str, str]] = {}

    @property
    def driver(self) -> JdbcDriver | None:
        """The driver that is taken unless another is registered."""
        return self.drivers[0] if self.drivers else None

    @property
    def url_template(self) -> str:
        """What a JDBC URL of this kind looks like."""
        return self.drivers[0].url if self.drivers else "jdbc:…"

    def for_url(self, url: str) -> Dialect:
        """The dialect of the database that a URL names, where the kind's drivers lead to several."""
        return self

    def database_file(self, url: str) -> str | None:
        """The file that a JDBC URL names and that the driver would make if it is missing; None for anything else."""
        return None

    def locked_by(self, message: str) -> int | None:
        """The process that keeps a database of `one_process` from being opened, from what the driver says.

        0 where it does not tell which; None for any other error.
        """
        return None

    def login_redaction(self) -> Callable[[str], str | None] | None:
        """Takes the password out of a URL whose login is written in the kind's own way; gives None where that cannot be told.

        Without such a function logins are read as in any URL.
        """
        return None

    def advise(self, sqlstate: str | None, vendor_code: int | None, message: str) -> str:
        """What a person does about an error, beginning with a line break; empty where nothing is known."""
        found = next((item.text for item in self.advices if item.fits(sqlstate, vendor_code, message)), None)
        return f"\n{found}" if found else ""

    def is_denied(self, sqlstate: str | None, vendor_code: int | None) -> bool:
        """Whether an error says that the login may not do that."""
        known = self.capabilities
        return sqlstate in known.denied_states or vendor_code in known.denied_codes

    def is_missing_table(self, sqlstate: str | None, vendor_code: int | None, message: str) -> bool:
        """Whether an error says that a table (or its schema) does not exist."""
        known = self.capabilities
        if vendor_code and vendor_code in known.missing_table_codes:
            return True
        if sqlstate and sqlstate in known.missing_table_states:
            return True
        pattern = known.missing_table_message
        return pattern is not None and re.search(pattern, message, re.IGNORECASE) is not None
