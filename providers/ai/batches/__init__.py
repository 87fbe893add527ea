"""The batch APIs of the chat providers: one module per dialect, each the base of the chat adapter that speaks it."""
