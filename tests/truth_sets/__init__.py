"""Public and hostile data through pipekit as a user moves it, compared row by row by readers of the tests' own."""
