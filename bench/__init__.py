"""Benchmarks of jrunner against other tools: `python -m bench` (or `make bench`). Results go to bench/results/*.md."""
