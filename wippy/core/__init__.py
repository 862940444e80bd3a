"""Pure parts of wippy: they decide, and touch nothing outside."""
