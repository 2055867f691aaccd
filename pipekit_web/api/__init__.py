"""`/api`: the REST interface, beside Dagster and alone."""
