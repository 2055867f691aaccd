"""The truth suite: every type family through every pair of databases, against one table of what each can hold."""
