"""The entry point of `pipekit`: an agent that runs takes the command; else, it is imported and runs here."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. `--no-agent`, before the command's name, keeps it here."""
    from pipekit_engine.agent.client import hand_over

    status = hand_over(sys.argv[1:])
    if status is not None:
        sys.exit(status)
    from pipekit_engine.cli.main import main as run_here

    run_here()


if __name__ == "__main__":
    main()
