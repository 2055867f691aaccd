"""JDBC jars: which ones there are, and how they get here. See `pipekit_engine.databases.jars.install`."""
