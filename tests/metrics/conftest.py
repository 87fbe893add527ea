"""What the tests of /metrics run on."""

from tests.engine_fixture import engine

__all__ = ["engine"]
