"""Who may ask, from where, and how much at once: users and sessions, the login, addresses, limits of connections."""
