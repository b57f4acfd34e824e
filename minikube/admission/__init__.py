"""Admission plugins and the chain that runs them; they see only listers and a client."""
