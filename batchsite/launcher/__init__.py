"""Starts the whole system on one machine: what stands behind bin/up, bin/test and bin/check."""
