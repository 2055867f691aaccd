"""What is asked for at which address. A route reads its parameters, calls a view or the engine, and shows a template."""
