"""Provider accounts: who they are, whether they take calls, and their keys."""
