"""What a user would run instead of us: each with the same two programs, as bare as it goes."""
