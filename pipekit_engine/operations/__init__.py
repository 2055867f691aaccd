"""What keeps an installation healthy: backup, doctor, support bundle."""
