"""What users keep here: records, the topics they are filed under, the words they are made of, and what was done."""

from records.models.activity import Action, Activity, Method
from records.models.record import Kind, MemoryStatus, MemoryType, Record
from records.models.topic import Topic
from records.models.word import Word

__all__ = ["Action", "Activity", "Kind", "MemoryStatus", "MemoryType", "Method", "Record", "Topic", "Word"]
