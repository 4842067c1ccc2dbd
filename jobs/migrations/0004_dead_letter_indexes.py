"""The indexes behind the dead-letter pages and the figures; built beside a running queue, hence outside a transaction."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("jobs", "0003_operations"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("resolution__in", ("", "retried")), ("status", "failed")),
                fields=["job_type", "finished_at"],
                name="jobs_job_dead",
            ),
        ),
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                models.Func("job_type", "last_error", function="jobs_fingerprint", output_field=models.TextField()),
                models.F("finished_at"),
                models.F("id"),
                condition=models.Q(("resolution__in", ("", "retried")), ("status", "failed")),
                name="jobs_job_dead_error",
            ),
        ),
        AddIndexConcurrently(
            model_name="job",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("resolution__in", ("", "retried")), ("status", "failed")),
                fields=["payload"],
                name="jobs_job_dead_payload",
                opclasses=["jsonb_path_ops"],
            ),
        ),
        AddIndexConcurrently(
            model_name="jobattempt",
            index=models.Index(fields=["outcome", "ended_at"], name="jobs_attempt_outcome"),
        ),
    ]
