"""A batch's results, items or errors as a file that streams: however many there are, a few hundred are in memory."""
