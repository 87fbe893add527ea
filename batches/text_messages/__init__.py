"""Text messages after and around their call: receipts, doubts, who wants none."""
