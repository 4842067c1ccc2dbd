#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from config.devdb import clear_database_errors

    with clear_database_errors():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
