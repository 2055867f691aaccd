"""Benchmarks of jrunner against other tools: `python -m bench` (or `make bench`). Results go to bench/results/*.md."""

import os

# Where Python is told to write no bytecode, each command that is measured would compile pipekit anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
