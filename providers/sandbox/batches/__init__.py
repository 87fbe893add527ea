"""The providers' batch APIs: files and batches that are run, line by line, by the same code as the fast calls."""
