"""Certificates, CAs, signing keys and join tokens, as files. No HTTP, no store."""
