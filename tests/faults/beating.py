"""The project's Celery app with every periodic task due every second; for the beats of test_beats.py."""

from __future__ import annotations

from batchsite.celery import app

app.conf.beat_schedule = {name: {**entry, "schedule": 1.0} for name, entry in app.conf.beat_schedule.items()}
