"""What actor code imports, and what runs inside each actor process."""
