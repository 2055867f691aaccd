"""The certificates of connections: one a connection, the newest, gone with its connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipekit_engine.errors import NotFoundError
from pipekit_engine.records.certificates import Certificate

if TYPE_CHECKING:
    from pipekit_engine.store.database import Database


class CertificateStore:
    """Remembers what `pipekit connections certify` found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, certificate: Certificate) -> None:
        """Keep a certificate instead of the connection's earlier one. Raises NotFoundError when the connection is gone."""
        from sqlalchemy import delete, insert, select

        from pipekit_engine.store import schema

        values = {**certificate.model_dump(exclude={"connection", "broken"}), "broken": json.dumps(certificate.broken)}
        with self._database.write() as connection:
            found = connection.execute(
                select(schema.connection.c.id).where(schema.connection.c.name == certificate.connection)
            ).scalar()
            if found is None:
                raise NotFoundError("connection", certificate.connection)
            connection.execute(delete(schema.certificate).where(schema.certificate.c.connection_id == found))
            connection.execute(insert(schema.certificate).values(connection_id=found, **values))

    def all(self) -> dict[str, Certificate]:
        """The certificates by the names of their connections."""
        query = (
            "SELECT connection.name, certificate.* FROM certificate "
            "JOIN connection ON certificate.connection_id = connection.id"
        )
        with self._database.plain_read() as transaction:
            rows = transaction.execute(query).rows
        fields = Certificate.model_fields.keys() - {"connection", "broken"}
        return {
            row["name"]: Certificate(
                connection=row["name"], broken=tuple(json.loads(row["broken"])), **{key: row[key] for key in fields}
            )
            for row in rows
        }
