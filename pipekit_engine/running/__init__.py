"""Running modules and groups: every phase that changes something, and what watches over a run."""
