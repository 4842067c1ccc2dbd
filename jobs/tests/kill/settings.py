"""Settings of clusters that are killed at named points, or that pretend to run on another host; see jobs/tests/settings_cluster.py."""

import os
import socket
from importlib import import_module

_cluster = import_module("jobs.tests.settings_cluster")
globals().update({name: getattr(_cluster, name) for name in dir(_cluster) if name.isupper()})

if os.environ.get("QUEUE_TEST_POINTS"):
    JOB_SERVICES = ["jobs.tests.kill.service.HistoryService", "jobs.operations.OperationsService"]
if _host := os.environ.get("QUEUE_TEST_HOST"):
    socket.gethostname = lambda: _host
