"""`pipekit wizard`: from a table in one database to a module that keeps it in step in another.

`proposals` reads a table's columns and says what a sync of it should look like, `windows` writes the SQL of its watermark,
`draft` holds all answers and makes the records of them. These are pure. `catalog` asks the databases, `rehearsal` plans and
previews without saving anything, `writing` puts the files in place and the records into the store, all or nothing.
`prompts`, `screens` and `interview` are the conversation on a terminal.
"""
