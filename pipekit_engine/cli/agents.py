"""`agent`: a warm pipekit that takes commands over a Unix socket."""

from __future__ import annotations

import typer

from pipekit_engine.cli.base import family, note, settings

app = family(
    "agent",
    "A warm pipekit for this project: commands are handed to it and begin at once.",
    invoke_without_command=True,
)


@app.callback(invoke_without_command=True)
def agent(context: typer.Context) -> None:
    """Listen, in the foreground, for commands of this user: run, run-group, modules, groups, schedules, runs, cancel, unlock.

    They hand themselves over, and look and end as if they ran by themselves; `pipekit --no-agent` keeps one from it. The socket
    stands beside the state.
    """
    if context.invoked_subcommand is not None:
        return
    from pipekit_engine.agent.server import Agent, path_for
    from pipekit_engine.cli.main import main

    config = settings(context).config()
    with settings(context).store():
        pass  # a project that is not there is told here, not by each command
    served = Agent(config, main)
    note(f"Listening on {path_for(config)}.")
    served.serve()


@app.command("status")
def status(context: typer.Context) -> None:
    """Tell whether an agent takes this project's commands."""
    pid = _listening(context)
    if pid is None:
        note("No agent runs.")
        raise typer.Exit(1)
    note(f"An agent runs: process {pid}.")


@app.command("stop")
def stop(context: typer.Context) -> None:
    """Tell the agent to end; it waits for the commands at work."""
    import os
    import signal

    pid = _listening(context)
    if pid is None:
        note("No agent runs.")
        return
    os.kill(pid, signal.SIGTERM)
    note(f"The agent, process {pid}, takes no more commands.")


def _listening(context: typer.Context) -> int | None:
    """The process id of this project's agent."""
    from pipekit_engine.agent.forking import listening
    from pipekit_engine.agent.server import path_for

    return listening(path_for(settings(context).config()))
