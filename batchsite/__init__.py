"""The Django project: settings, routes, the Celery app and the launcher."""
