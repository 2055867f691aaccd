"""`pipekit agent`: a warm pipekit of the same user, which commands are handed to over a Unix socket.

`client.py` hands a command over, with the standard library alone; `server.py` takes it; `forking.py` is the server that forks a
process for each client, which the processes of Dagster's runs come from, too; `warm.py` keeps the JVMs that commands borrow.
"""
