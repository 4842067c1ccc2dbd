"""The audit log. Its rows are evidence: the database refuses to change or remove them."""

import django.core.serializers.json
from django.db import migrations, models
from django.db.models import Q

REFUSE = """
CREATE TRIGGER bonds_auditentry_append_only BEFORE UPDATE OR DELETE ON bonds_auditentry
    FOR EACH ROW EXECUTE FUNCTION bonds_refuse_change();
"""
ALLOW = "DROP TRIGGER bonds_auditentry_append_only ON bonds_auditentry;"
ENCODER = django.core.serializers.json.DjangoJSONEncoder


class Migration(migrations.Migration):
    dependencies = [("bonds", "0003_what_the_listener_reads")]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain", models.CharField(max_length=80)),
                ("number", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=150)),
                ("act", models.CharField(max_length=60)),
                ("subject", models.CharField(max_length=200)),
                ("reason", models.TextField(blank=True)),
                ("before", models.JSONField(blank=True, default=dict, encoder=ENCODER)),
                ("after", models.JSONField(blank=True, default=dict, encoder=ENCODER)),
                ("previous_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64, unique=True)),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ["chain", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("chain", "number"), name="bonds_auditentry_one_per_number"),
                    models.UniqueConstraint(fields=("chain", "previous_hash"), name="bonds_auditentry_no_fork"),
                    models.CheckConstraint(
                        condition=~Q(chain="") & ~Q(actor="") & ~Q(act="") & ~Q(subject="") & Q(number__gte=1),
                        name="bonds_auditentry_complete",
                    ),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="wallet", options={"permissions": [("lift_halt", "Can lift the halt of a wallet's lane")]}
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
