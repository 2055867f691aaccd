"""What the kinds of databases are made of: one module a concern, put together in `Dialect`."""
