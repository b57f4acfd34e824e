"""What is accepted but told to be unwise: the texts of Warning headers (WarningsOnCreate, WarningsOnUpdate)."""
