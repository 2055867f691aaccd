"""What pipekit knows of each database, how it connects to one, and how it looks around in it."""
