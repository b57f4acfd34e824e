"""Auditing: which requests are written down and how much of them (policy), the events (trail), the file (log)."""
