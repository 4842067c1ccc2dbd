"""Claims and refunds: batches, and one entry per investment for ever."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bonds", "0004_audit_log"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ClaimBatch",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("claim", "Claim"), ("refund", "Refund")], max_length=6)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="claim_batches", to="bonds.bond"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "claim batches",
                "permissions": [("start_claimbatch", "Can claim and refund investments on chain")],
            },
        ),
        migrations.CreateModel(
            name="ClaimEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("claim", "Claim"), ("refund", "Refund")], max_length=6)),
                ("position", models.PositiveIntegerField()),
                ("investor", models.CharField(max_length=60)),
                ("token_contract_index", models.BigIntegerField()),
                ("token_contract_subindex", models.BigIntegerField()),
                ("token_id", models.DecimalField(decimal_places=0, max_digits=20)),
                (
                    "status",
                    models.CharField(
                        choices=[("ready", "Ready"), ("signed", "Signed"), ("done", "Done"), ("refused", "Refused")],
                        default="ready",
                        max_length=7,
                    ),
                ),
                ("alone", models.BooleanField(default=False)),
                ("refusal", models.TextField(blank=True)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="bonds.claimbatch"
                    ),
                ),
                (
                    "bond",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="bonds.bond"),
                ),
                (
                    "transaction",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claim_entries",
                        to="bonds.chaintransaction",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "claim entries",
                "ordering": ["batch", "position"],
            },
        ),
        migrations.AddConstraint(
            model_name="claimbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["claim", "refund"])), name="bonds_claimbatch_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["ready", "signed", "done", "refused"])),
                name="bonds_claimentry_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ("ready", "refused")), ("transaction__isnull", False), _connector="OR"
                ),
                name="bonds_claimentry_signed_has_transaction",
            ),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("done_at__isnull", False), ("status", "done")),
                    models.Q(models.Q(("status", "done"), _negated=True), ("done_at__isnull", True)),
                    _connector="OR",
                ),
                name="bonds_claimentry_done_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "refused"), models.Q(("refusal", ""), _negated=True)),
                    models.Q(models.Q(("status", "refused"), _negated=True), ("refusal", "")),
                    _connector="OR",
                ),
                name="bonds_claimentry_refused_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.UniqueConstraint(fields=("batch", "position"), name="bonds_claimentry_position_once"),
        ),
        migrations.AddConstraint(
            model_name="claimentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "refused"), _negated=True),
                fields=("bond", "investor", "token_contract_index", "token_contract_subindex", "token_id"),
                name="bonds_claimentry_one_per_investment",
            ),
        ),
    ]
