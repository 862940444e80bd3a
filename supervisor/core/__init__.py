"""Pure parts of the supervisor: they decide, and touch nothing outside."""
