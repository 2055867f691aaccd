"""The `pipekit` command. `main` assembles it; each other module holds one family of commands.

Nothing but typer is imported until a command runs: `pipekit --help` answers at once.
"""
