"""The naive peer's settings: ours without the pool; each greenlet opens its connection as Django does by itself."""

from batchsite.settings import *  # noqa: F403
from batchsite.settings import DATABASES

DATABASES["default"]["OPTIONS"].pop("pool", None)
