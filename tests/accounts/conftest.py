"""The engine's own processes, for the tests of this folder."""

from tests.engine_fixture import engine

__all__ = ["engine"]
