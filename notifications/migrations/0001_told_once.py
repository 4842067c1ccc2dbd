"""Who was told what, once; and that a status names the same user as its notification."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# Django has no composite foreign keys in models; deferred like its own, so that both rows can come in one transaction.
SAME_USER = """
ALTER TABLE user_notification_status ADD CONSTRAINT notifications_usernotificationstatus_same_user
FOREIGN KEY (notification_id, user_id) REFERENCES notifications (id, user_id) DEFERRABLE INITIALLY DEFERRED
"""
NO_SAME_USER = "ALTER TABLE user_notification_status DROP CONSTRAINT notifications_usernotificationstatus_same_user"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UserNotificationPreferences",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="notification_preferences",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("email_notifications", models.BooleanField(db_default=True, default=True)),
                ("investment_updates", models.BooleanField(db_default=True, default=True)),
                ("marketing_communications", models.BooleanField(db_default=True, default=True)),
            ],
            options={
                "verbose_name_plural": "user notification preferences",
                "db_table": "user_notification_preferences",
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "notification_type",
                    models.CharField(
                        choices=[
                            ("system_announcement", "System Announcement"),
                            ("bond_available", "Bond Available"),
                            ("investment_confirmed", "Investment Confirmed"),
                            ("investment_failed", "Investment Failed"),
                            ("yield_distributed", "Yield Distributed"),
                            ("bond_matured", "Bond Matured"),
                            ("bond_status_updated", "Bond Status Updated"),
                            ("kyc_status_changed", "Kyc Status Changed"),
                            ("marketing_update", "Marketing Update"),
                        ],
                        max_length=32,
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("message", models.TextField()),
                ("priority", models.PositiveSmallIntegerField(help_text="1 (lowest) to 5 (highest)")),
                ("address", models.CharField(blank=True, default="", max_length=100)),
                (
                    "dedupe_key",
                    models.CharField(
                        help_text="what is told to whom; the same key is never told twice", max_length=200
                    ),
                ),
                ("context", models.JSONField(default=dict, help_text="the facts the text was made from")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notifications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "notifications",
                "ordering": ["-created_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="ProcessedEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("natural_key", models.CharField(max_length=200)),
                (
                    "processed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
            ],
            options={
                "db_table": "processed_events",
                "constraints": [
                    models.UniqueConstraint(fields=("natural_key",), name="notifications_processedevent_once"),
                    models.CheckConstraint(
                        condition=models.Q(("natural_key", ""), _negated=True),
                        name="notifications_processedevent_key_present",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="UserNotificationStatus",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                ("dismissed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "mail_state",
                    models.CharField(
                        choices=[("none", "None"), ("queued", "Queued"), ("sent", "Sent"), ("failed", "Failed")],
                        default="none",
                        max_length=8,
                    ),
                ),
                ("mailed_at", models.DateTimeField(blank=True, null=True)),
                ("message_id", models.CharField(blank=True, default="", max_length=255)),
                (
                    "notification",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="status",
                        to="notifications.notification",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "user notification status",
                "db_table": "user_notification_status",
            },
        ),
        migrations.CreateModel(
            name="WalletLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "address",
                    models.CharField(help_text="canonical account key: the same text for every alias", max_length=100),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="wallet_links",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "wallet_links",
            },
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                models.F("user"),
                models.OrderBy(models.F("created_at"), descending=True),
                name="notifications_own_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                models.OrderBy(models.F("created_at"), descending=True), models.F("id"), name="notifications_all_newest"
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "notification_type__in",
                        [
                            "system_announcement",
                            "bond_available",
                            "investment_confirmed",
                            "investment_failed",
                            "yield_distributed",
                            "bond_matured",
                            "bond_status_updated",
                            "kyc_status_changed",
                            "marketing_update",
                        ],
                    )
                ),
                name="notifications_notification_type_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority__range", (1, 5))), name="notifications_notification_priority_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("title", ""), _negated=True),
                    models.Q(("message", ""), _negated=True),
                    models.Q(("dedupe_key", ""), _negated=True),
                ),
                name="notifications_notification_text_present",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("address", ""), _negated=True), ("user__isnull", False), _connector="OR"),
                name="notifications_notification_target_present",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(fields=("dedupe_key",), name="notifications_notification_told_once"),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(fields=("id", "user"), name="notifications_notification_user_of_id"),
        ),
        migrations.AddIndex(
            model_name="usernotificationstatus",
            index=models.Index(
                condition=models.Q(("read_at__isnull", True)), fields=["user"], name="notifications_unread_of_user"
            ),
        ),
        migrations.AddConstraint(
            model_name="usernotificationstatus",
            constraint=models.CheckConstraint(
                condition=models.Q(("mail_state__in", ["none", "queued", "sent", "failed"])),
                name="notifications_usernotificationstatus_mail_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="usernotificationstatus",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("mail_state", "sent"), ("mailed_at__isnull", False)),
                    models.Q(models.Q(("mail_state", "sent"), _negated=True), ("mailed_at__isnull", True)),
                    _connector="OR",
                ),
                name="notifications_usernotificationstatus_mailed_iff_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="usernotificationstatus",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("mail_state", "none"), models.Q(("message_id", ""), _negated=True), _connector="OR"
                ),
                name="notifications_usernotificationstatus_mail_has_id",
            ),
        ),
        migrations.AddConstraint(
            model_name="walletlink",
            constraint=models.UniqueConstraint(fields=("address",), name="notifications_walletlink_one_user"),
        ),
        migrations.AddConstraint(
            model_name="walletlink",
            constraint=models.CheckConstraint(
                condition=models.Q(("address", ""), _negated=True), name="notifications_walletlink_address_present"
            ),
        ),
        migrations.RunSQL(SAME_USER, NO_SAME_USER),
    ]
