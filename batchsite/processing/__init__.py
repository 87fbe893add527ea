"""Many awaitable calls under a limit, with retries: the functions of document 000, for any asyncio program.

They keep everything in this process's memory. What must survive it, or run on many machines, is a batch of the
engine. Importing this package imports neither Django nor gevent.
"""

from batchsite.processing.batch import ProcessorCancelled, Progress, process_batch
from batchsite.processing.rate_limiter import RateLimiter
from batchsite.processing.retry import is_retryable, with_retry

__all__ = ["ProcessorCancelled", "Progress", "RateLimiter", "is_retryable", "process_batch", "with_retry"]
