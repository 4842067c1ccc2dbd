"""Settings for the two peers that live in Django: stock Django-Q2 on its ORM broker, and django-tasks-db."""

import os

SECRET_KEY = "bench"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_q", "django_tasks", "django_tasks_db"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "HOST": os.environ["PGHOST"],
        "CONN_MAX_AGE": None,
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# The defaults, but for: 20 packages a fetch instead of 1 and no row kept for a success, both in its favour.
Q_CLUSTER = {
    "name": "bench",
    "workers": 4,
    "orm": "default",
    "bulk": 20,
    "timeout": 50,
    "retry": 60,
    "save_limit": -1,
    "recycle": 100_000,
    "catch_up": False,
    "log_level": "WARNING",
}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
