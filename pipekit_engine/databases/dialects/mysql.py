"""MySQL."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.dialects.mariadb import MariaDB


class MySQL(MariaDB):
    """MySQL 8 and newer: MariaDB's sibling, with a driver of its own."""

    kind = "mysql"
    label = "MySQL"
    drivers = (
        JdbcDriver(
            class_name="com.mysql.cj.jdbc.Driver",
            url="jdbc:mysql://HOST:3306/DATABASE",
            files=("mysql-connector-j*.jar",),
            group="com.mysql",
            artifact="mysql-connector-j",
            version="8.4.0",
            sha256="d77962877d010777cff997015da90ee689f0f4bb76848340e1488f2b83332af5",
            licence="GPL-2.0-only with the Universal FOSS Exception",
            told_as="MySQL Connector",
            oldest="8.0.23",
            older="it knows no connectionTimeZone, and moves times by the server's time zone",
            note="MariaDB's driver, which Debian has, serves most MySQL servers too (kind mariadb).",
        ),
    )
    ways_in: ClassVar = {
        **MariaDB.ways_in,
        "com.mysql.cj.jdbc.Driver": WaysIn(
            (
                TlsSettings(
                    {
                        "disable": {"sslMode": "DISABLED"},
                        "prefer": {"sslMode": "PREFERRED"},
                        "require": {"sslMode": "REQUIRED"},
                        "verify-ca": {"sslMode": "VERIFY_CA"},
                        "verify-full": {"sslMode": "VERIFY_IDENTITY"},
                    },
                    ca={
                        "trustCertificateKeyStoreUrl": "ca-url",
                        "trustCertificateKeyStoreType": "ca-type",
                        "trustCertificateKeyStorePassword": "ca-password",
                    },
                    key={
                        "clientCertificateKeyStoreUrl": "key-url",
                        "clientCertificateKeyStoreType": "key-type",
                        "clientCertificateKeyStorePassword": "key-password",
                    },
                ),
            ),
            verified="MariaDB 10.11, driver 8.4",
        ),
    }
    certified_here = False
    capabilities = replace(MariaDB.capabilities, loads_directly=False)  # where it was never tried
    _declared = "c.column_type"
    clients = ()  # scripts that call `mysql` mostly mean MariaDB's
