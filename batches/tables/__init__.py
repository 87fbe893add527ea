"""Tables as people exchange them: CSV, JSON, JSON lines and XLSX, read and written row by row.

Nothing here knows Django or records. Reading and the writing of XLSX happen in a process of their own
(:mod:`batches.tables.isolation`), because the files come from strangers.
"""
