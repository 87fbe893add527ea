"""Starting work without code: forms that read as the API reads its bodies, by the operations' own ``build``."""
