"""From a definition and what the databases say to a plan: nothing here writes anything."""
