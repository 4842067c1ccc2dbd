"""A run that is to be cancelled waits for what it has signed already."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("yields", "0003_steering_a_run")]

    operations = [
        migrations.AlterModelOptions(
            name="yielddistribution",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("trigger_yielddistribution", "Can start a yield distribution (moves money)"),
                    ("steer_yielddistribution", "Can pause and resume a yield distribution"),
                    ("cancel_yielddistribution", "Can cancel a yield distribution"),
                ],
            },
        ),
        migrations.AddField(
            model_name="yielddistribution",
            name="cancel_requested_at",
            field=models.DateTimeField(
                blank=True,
                help_text="from then on nothing is signed; what was signed finishes first",
                null=True,
            ),
        ),
    ]
