"""Settings of the clusters the tests start: the test's database and the probe service; times come from the environment."""

import os
from importlib import import_module

# By name: the wiring may import this room, and not the other way round.
_product = import_module("config.settings")
globals().update({name: getattr(_product, name) for name in dir(_product) if name.isupper()})

DATABASES = {"default": {**_product.DATABASES["default"], "NAME": os.environ["QUEUE_TEST_DATABASE"]}}
if os.environ.get("QUEUE_TEST_POOL"):
    DATABASES["default"]["OPTIONS"] = {"pool": True}
SECRET_KEY = "what the tests' clusters sign lasts as long as they do"
JOB_SERVICES = ["jobs.tests.services.ProbeService"]
JOB_CONTEXT_FACTORY = "jobs.tests.services.build_context"
Q_CLUSTER = {**_product.Q_CLUSTER, "guard_cycle": 0.1}
