"""What the commands that run batches share: options, progress on the terminal, result tables, CSV files."""
