"""Records of runs, as run_log and group_run hold them. They stand below the errors: an error carries the run that it ended."""
