"""Carrying out operations on memories: many at once, with the meaning of one after the other."""
