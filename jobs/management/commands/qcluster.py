"""The one worker command: Django-Q2's cluster, refused where it would corrupt connections, and supervised (jobs/cluster.py)."""

import os
from typing import Any

from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connection
from django_q.management.commands.qcluster import Command as DjangoQCommand

from jobs import checks
from jobs.cluster import Cluster
from jobs.models import Job


class Command(DjangoQCommand):
    requires_system_checks: list[str] = []
    help = "Runs the workers of the job queue until SIGTERM or SIGINT; running jobs get JOB_GRACE_SECONDS."

    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        for problem in (*checks.check_pool(None), *checks.check_services(None), *checks.check_times(None)):
            raise CommandError(problem.msg)
        self._check_database()
        code = Cluster().run(once=bool(options.get("run_once")))
        if code:
            raise SystemExit(code)

    def _check_database(self) -> None:
        try:
            connection.introspection.get_table_description(connection.cursor(), Job._meta.db_table)
        except DatabaseError as error:
            raise CommandError(f"the job queue cannot be reached: {' '.join(str(error).split())}") from None
        finally:
            connection.close()
