"""Composition root of a server: builds every part and runs them in one TaskGroup."""
