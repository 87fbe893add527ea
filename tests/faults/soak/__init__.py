"""A whole system under load for a long time, with a random fault every minute: ``python -m tests.faults.soak``."""
