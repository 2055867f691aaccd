"""Which jar is the driver of each kind, where it comes from, and under which licence: data only.

A SHA-256 stands here only for a jar that was looked at byte by byte. The others are checked against the checksum that the
repository keeps beside the jar, which protects from a broken download and not from a dishonest repository; `pipekit drivers
install` says which of the two it did.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Artifact:
    """A jar in a Maven repository. `pins` maps a version to the SHA-256 of its jar."""

    group: str
    artifact: str
    #: The version that is taken unless another is asked for.
    version: str
    pins: dict[str, str] = field(default_factory=dict)

    def file_name(self, version: str) -> str:
        """`postgresql-42.7.13.jar`."""
        return f"{self.artifact}-{version}.jar"

    def path(self, version: str) -> str:
        """Where it stands in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{version}/{self.file_name(version)}"

    def coordinate(self, version: str) -> str:
        """`group:artifact:version`, as Maven writes it."""
        return f"{self.group}:{self.artifact}:{version}"


@dataclass(frozen=True)
class JarSource:
    """Where the jars of a kind come from. `debian` is a package that puts `debian_jar` into /usr/share/java."""

    kind: str
    licence: str
    artifact: Artifact
    debian: str | None = None
    debian_jar: str | None = None
    #: What a person should know before taking it.
    note: str | None = None


#: Versions that run on Java 11 and need no other jar. MariaDB's stays in the 2.7 line, which pipekit's tests run on.
SOURCES: dict[str, JarSource] = {
    source.kind: source
    for source in (
        JarSource(
            "sqlite",
            "Apache-2.0",
            Artifact("org.xerial", "sqlite-jdbc", "3.49.1.0"),
            "libxerial-sqlite-jdbc-java",
            "sqlite-jdbc.jar",
        ),
        JarSource(
            "postgresql",
            "BSD-2-Clause",
            Artifact(
                "org.postgresql",
                "postgresql",
                "42.7.13",
                {"42.7.13": "6e0e4cc2d8cae902084f8a2b18728b073a6fd9d1f87c9d8bff8f298c18185b93"},
            ),
            "libpostgresql-jdbc-java",
            "postgresql.jar",
        ),
        JarSource(
            "mariadb",
            "LGPL-2.1-or-later",
            Artifact("org.mariadb.jdbc", "mariadb-java-client", "2.7.12"),
            "libmariadb-java",
            "mariadb-java-client.jar",
        ),
        JarSource(
            "mysql",
            "GPL-2.0-only with the Universal FOSS Exception",
            Artifact("com.mysql", "mysql-connector-j", "8.4.0"),
            note="MariaDB's driver, which Debian has, serves most MySQL servers too (kind mariadb).",
        ),
        JarSource("sqlserver", "MIT", Artifact("com.microsoft.sqlserver", "mssql-jdbc", "12.8.1.jre11")),
        JarSource(
            "oracle",
            "Oracle Free Use Terms and Conditions (FUTC)",
            Artifact("com.oracle.database.jdbc", "ojdbc11", "23.4.0.24.05"),
            note="Proprietary: read Oracle's terms before you use it.",
        ),
        JarSource("db2", "IPL-1.0", Artifact("net.sf.jt400", "jt400", "20.0.7"), "libjt400-java", "jt400.jar"),
        JarSource(
            "h2",
            "MPL-2.0 or EPL-1.0",
            Artifact(
                "com.h2database",
                "h2",
                "2.3.232",
                {"2.3.232": "8dae62d22db8982c3dcb3826edb9c727c5d302063a67eef7d63d82de401f07d3"},
            ),
            "libh2-java",
            "h2.jar",
            note="A database file is bound to H2's version: take the one that wrote yours.",
        ),
        JarSource(
            "derby",
            "Apache-2.0",
            Artifact("org.apache.derby", "derby", "10.14.2.0"),
            "libderby-java",
            "derby.jar",
        ),
        JarSource(
            "hsqldb", "BSD-3-Clause (HSQLDB)", Artifact("org.hsqldb", "hsqldb", "2.7.4"), "libhsqldb-java", "hsqldb.jar"
        ),
    )
}
