"""`pipekit agent`: a warm pipekit of the same user, which commands are handed to over a Unix socket.

`client.py` hands a command over, with the standard library alone; `server.py` takes it and forks a process for it; `warm.py`
keeps the JVMs that these borrow.
"""
