"""Text and thumbnails out of files that users sent, in processes of their own.

Parsers of documents are slow Python and old C: in a worker they would stop the greenlets of everybody, and a document
made for it could end the worker. So a few child processes do it (``child.py``), without secrets in their environment
and with limits on memory and CPU time; ``readers.py`` is the pool of them in the worker.
"""
