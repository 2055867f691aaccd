"""The entry point of `pipekit`: an agent that runs takes the command; else, it is imported and runs here."""

from __future__ import annotations

import gc
import sys

#: Not of `typing`, whose import takes longer than all that a command does which an agent runs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipekit_engine.agent.client import Command

#: Commands that need a JVM.
_RUNS = ("run", "run-group")


def main() -> None:
    """Run the command. `--no-agent`, before the command's name, keeps it here."""
    from pipekit_engine.agent.client import Command, hand_over

    arguments = sys.argv[1:]
    handed = arguments[:1] != ["--no-agent"]
    command = Command.of(arguments if handed else arguments[1:])
    status = hand_over(command, arguments) if handed else None
    if status is not None:
        sys.exit(status)
    if command is not None and command.name in _RUNS and not {"-h", "--help"}.intersection(arguments):
        _start_jvm(command, arguments)
    # All that is imported stays: looking through it again and again for garbage would cost a tenth of the time.
    gc.disable()
    from pipekit_engine.cli.main import main as run_here

    try:
        run_here()
    finally:
        # Nor is it looked through once more at the end of the process.
        gc.freeze()


def _start_jvm(command: Command, arguments: list[str]) -> None:
    """Start the JVM beside the imports, unless the configuration says how it is started."""
    if command.says("jrunner"):
        return
    import os
    from pathlib import Path

    from pipekit_engine.jrunner.rehearsal import kinds_used
    from pipekit_engine.jrunner.starting import start_early

    kinds: tuple[str, ...] = ()
    if command.database is not None:
        named = arguments[arguments.index(command.name) + 1 :]
        module = next((word for word in named if not word.startswith("-")), None) if command.name == "run" else None
        kinds = kinds_used(os.path.join(command.folder, command.database), module)
    start_early(Path(command.folder), kinds)


if __name__ == "__main__":
    main()
