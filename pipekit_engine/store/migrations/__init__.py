"""Alembic migrations of the state store. They ship in the package; `pipekit init` runs them."""
