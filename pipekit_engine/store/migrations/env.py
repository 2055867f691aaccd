"""Alembic's entry: migrates over the connection that `pipekit_engine.store.upgrade` hands in."""

from alembic import context

from pipekit_engine.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
