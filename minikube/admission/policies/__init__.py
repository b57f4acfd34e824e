"""Admission by policies: expressions that people bind to requests, and what comes of them."""
