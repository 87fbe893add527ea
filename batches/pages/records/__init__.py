"""What a user keeps: list, search and view of records."""
