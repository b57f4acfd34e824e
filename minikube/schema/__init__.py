"""One structural-schema engine for built-in and custom kinds: clean, default, validate, patch, apply, OpenAPI."""
