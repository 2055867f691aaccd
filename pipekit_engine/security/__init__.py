"""Secrets, and keeping them out of everything that is written."""
