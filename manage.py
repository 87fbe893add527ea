#!/usr/bin/env python
"""Django's command line."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from batchsite.environment import join_running_stack

if __name__ == "__main__":
    join_running_stack(Path(__file__).resolve().parent / ".data")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    execute_from_command_line(sys.argv)
