"""pipekit in the browser: pages on the engine, the login in front of them, and the server that shows both.

Imports the engine only. `pipekit serve` mounts the pages beside Dagster's; `pipekit web` serves them alone.
"""
