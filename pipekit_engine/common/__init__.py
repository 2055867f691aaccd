"""What has nothing to do with databases: files, processes, signals, messages."""
