-- Dagster's own records: a database beside pipekit's, since each keeps the revision of its own tables.
CREATE DATABASE dagster OWNER pipekit;
