"""Who may pause and resume a run."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("yields", "0002_what_a_run_uses_is_frozen")]

    operations = [
        migrations.AlterModelOptions(
            name="yielddistribution",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("trigger_yielddistribution", "Can start a yield distribution (moves money)"),
                    ("steer_yielddistribution", "Can pause and resume a yield distribution"),
                ],
            },
        ),
    ]
