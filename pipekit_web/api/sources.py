"""Databases below `/api/introspect`: what stands in them, asked anew each time. Rows are shown to editors only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from pipekit_engine.databases.browser import Browser
from pipekit_engine.engine import Engine
from pipekit_engine.errors import (
    ConfigurationError,
    NotFoundError,
    RuntimeMissing,
    SecretError,
    SourceError,
    StoreError,
)
from pipekit_engine.jrunner.protocol import QueryResult
from pipekit_engine.sql.text import sample_query
from pipekit_web.api.answers import Preview
from pipekit_web.api.asking import Editor, Name, OpenEngine, Operator
from pipekit_web.api.machine_answers import DescribedColumn, Sql
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.asking import asking

router = APIRouter(prefix="/api/introspect/{connection}", route_class=CheckedBody)
_LOOKS: dict[str, Any] = {"responses": problems(400, 404, 409)}
_ASKS: dict[str, Any] = {"responses": problems(400, 404, 409, 413, 415, 422)}
Optional = Annotated[str | None, Query(min_length=1, max_length=500)]
Table = Annotated[str, Query(min_length=1, max_length=500, description="schema.table, as in SQL")]


@contextmanager
def _browsing(engine: Engine, connection: str) -> Iterator[Browser]:
    """A look through a connection, as long as a person waits. Raises NotFoundError where there is none of that name.

    What the database refuses, such as a table that is not there, was asked wrongly, and so was what is no table's name:
    HTTPException, 400.
    """
    engine.store.definitions.connection(connection)
    try:
        with asking(engine) as workspace:
            yield workspace.browser(connection)
    except (NotFoundError, RuntimeMissing, SecretError, StoreError):
        raise  # each has an answer of its own
    except (ConfigurationError, SourceError) as error:
        raise HTTPException(400, str(error)) from error


@router.get("/databases", summary="Databases behind a connection", **_LOOKS)
def databases(user: Operator, connection: Name, engine: OpenEngine) -> list[str]:
    with _browsing(engine, connection) as browser:
        return browser.databases()


@router.get("/schemas", summary="Schemas", **_LOOKS)
def schemas(user: Operator, connection: Name, engine: OpenEngine, database: Optional = None) -> list[str]:
    with _browsing(engine, connection) as browser:
        return browser.schemas(database)


@router.get("/tables", summary="Tables and views", **_LOOKS)
def tables(
    user: Operator, connection: Name, engine: OpenEngine, schema: Optional = None, database: Optional = None
) -> list[dict[str, Any]]:
    with _browsing(engine, connection) as browser:
        return [asdict(item) for item in browser.tables(schema, database)]


@router.get("/columns", summary="Columns of a table", **_LOOKS)
def columns(user: Operator, connection: Name, engine: OpenEngine, table: Table) -> list[dict[str, Any]]:
    with _browsing(engine, connection) as browser:
        return [asdict(item) for item in browser.columns(table)]


@router.get("/keys", summary="Primary and unique keys of a table", **_LOOKS)
def keys(user: Operator, connection: Name, engine: OpenEngine, table: Table) -> list[dict[str, Any]]:
    with _browsing(engine, connection) as browser:
        return [asdict(item) for item in browser.keys(table)]


@router.get("/preview", summary="First rows of a table", **_LOOKS)
def preview(
    user: Editor, connection: Name, engine: OpenEngine, table: Table, rows: Annotated[int, Query(ge=1, le=200)] = 10
) -> Preview:
    with _browsing(engine, connection) as browser:
        source = browser.dialect.table_sql(browser.find(table).table_name)
        return _shown(browser.preview(f"SELECT * FROM {source}", rows))


@router.post("/query", summary="First rows of a query, such as a module's or a watermark's resolver", **_ASKS)
def query(user: Editor, connection: Name, body: Sql, engine: OpenEngine) -> Preview:
    with _browsing(engine, connection) as browser:
        return _shown(browser.preview(body.sql, body.rows))


@router.post("/describe", summary="Columns of a query; placeholders may stand in it", **_ASKS)
def describe(user: Editor, connection: Name, body: Sql, engine: OpenEngine) -> list[DescribedColumn]:
    with _browsing(engine, connection) as browser:
        found = browser.describe(sample_query(body.sql, browser.dialect.capabilities.syntax))
    return [DescribedColumn(**{name: getattr(item, name) for name in DescribedColumn.model_fields}) for item in found]


def _shown(result: QueryResult) -> Preview:
    return Preview(columns=list(result.columns), rows=[list(row) for row in result.rows], truncated=result.truncated)
