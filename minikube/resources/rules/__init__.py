"""Validation: one subject a file, pure checks that yield FieldErrors in the words of `invalid`."""
