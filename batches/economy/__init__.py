"""Economy mode: a batch answered by its provider's own batch API, at its discount, within a day (docs/economy.md).

The dispatcher gathers items into provider batches and rings for those whose next step is due; workers take the steps.
"""
