"""What users keep here: records, the topics they are filed under, and the words they are made of."""

from records.models.record import Kind, MemoryStatus, MemoryType, Record
from records.models.topic import Topic
from records.models.word import Word

__all__ = ["Kind", "MemoryStatus", "MemoryType", "Record", "Topic", "Word"]
