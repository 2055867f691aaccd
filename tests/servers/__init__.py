"""Real database servers for the tests: started on free ports in temporary folders, gone when the tests are."""
