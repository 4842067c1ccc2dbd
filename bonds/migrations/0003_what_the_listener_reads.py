"""Recoveries, investments, registry states and parked events: what the listener writes beside mints, transfers and burns."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

UNITS = {"max_digits": 78, "decimal_places": 0}
TOKEN_ID = {"max_digits": 20, "decimal_places": 0}

# Rows that are kept as written but for columns a person or a job fills in once: the trigger's arguments, the first of which
# is NULL until then.
REFUSE_REWRITE = """
CREATE FUNCTION bonds_refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) ->> TG_ARGV[0] IS NULL AND to_jsonb(NEW) - TG_ARGV = to_jsonb(OLD) - TG_ARGV THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% on % is refused: its rows are kept as written', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
TRIGGERS = {
    "bond_investment_records": "bonds_refuse_rewrite('bond_investor_id')",
    "bonds_parkedevent": "bonds_refuse_rewrite('resolved_at', 'resolved_by_id', 'resolution_reason')",
    "bonds_registrychange": "bonds_refuse_change()",
}


def trigger(table, function):
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function};",
        f"DROP TRIGGER {table}_kept ON {table};",
    )


def of_an_event():
    """Where on the chain a row comes from."""
    return [
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("block_height", models.BigIntegerField()),
        ("block_hash", models.CharField(max_length=64)),
        ("block_time", models.DateTimeField()),
        ("transaction_hash", models.CharField(max_length=64)),
        ("event_index", models.PositiveIntegerField()),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("bonds", "0002_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            "bond", "fund_contract_index", models.BigIntegerField("fund contract", null=True, blank=True)
        ),
        migrations.AddField("bond", "fund_contract_subindex", models.BigIntegerField(default=0)),
        migrations.AddField("listenercursor", "head_height", models.BigIntegerField(null=True)),
        migrations.AddField("listenercursor", "head_time", models.DateTimeField(null=True)),
        migrations.AlterField(
            "lotchange",
            "kind",
            models.CharField(
                max_length=8,
                choices=[("mint", "Mint"), ("transfer", "Transfer"), ("burn", "Burn"), ("recover", "Recover")],
            ),
        ),
        migrations.RemoveConstraint("lotchange", "bonds_lotchange_once"),
        migrations.RemoveConstraint("lotchange", "bonds_lotchange_sides_fit_kind"),
        migrations.AddConstraint(
            "lotchange",
            models.UniqueConstraint(
                fields=["transaction_hash", "event_index"], condition=~Q(kind="recover"), name="bonds_lotchange_once"
            ),
        ),
        migrations.AddConstraint(
            "lotchange",
            models.UniqueConstraint(
                fields=["transaction_hash", "event_index", "token_id"],
                condition=Q(kind="recover"),
                name="bonds_lotchange_recover_once_per_lot",
            ),
        ),
        migrations.AddConstraint(
            "lotchange",
            models.CheckConstraint(
                name="bonds_lotchange_sides_fit_kind",
                condition=(
                    (Q(kind="mint", sender="") & ~Q(recipient=""))
                    | (Q(kind="burn", recipient="") & ~Q(sender=""))
                    | (Q(kind__in=["transfer", "recover"]) & ~Q(sender="") & ~Q(recipient=""))
                ),
            ),
        ),
        migrations.CreateModel(
            name="BondInvestor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address", models.CharField(max_length=60)),
                ("invested_security_raw", models.DecimalField(default=0, help_text="tokens bought", **UNITS)),
                ("invested_currency_raw", models.DecimalField(default=0, help_text="money put in", **UNITS)),
                (
                    "claimed_security_raw",
                    models.DecimalField(default=0, help_text="tokens claimed after the raise", **UNITS),
                ),
                (
                    "claimed_currency_raw",
                    models.DecimalField(default=0, help_text="money the claimed tokens cost", **UNITS),
                ),
                ("refunded_security_raw", models.DecimalField(default=0, help_text="tokens given back", **UNITS)),
                ("refunded_currency_raw", models.DecimalField(default=0, help_text="money given back", **UNITS)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="investors", to="bonds.bond"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bond_investors",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "bond_investors",
                "constraints": [
                    models.UniqueConstraint(fields=["bond", "address"], name="bonds_bondinvestor_one_per_address"),
                    models.CheckConstraint(name="bonds_bondinvestor_address_present", condition=~Q(address="")),
                ],
            },
        ),
        migrations.CreateModel(
            name="InvestmentRecord",
            fields=[
                *of_an_event(),
                (
                    "kind",
                    models.CharField(
                        max_length=8, choices=[("invest", "Invest"), ("claim", "Claim"), ("refund", "Refund")]
                    ),
                ),
                ("investor", models.CharField(max_length=60)),
                ("token_contract_index", models.BigIntegerField()),
                ("token_contract_subindex", models.BigIntegerField()),
                ("token_id", models.DecimalField(**TOKEN_ID)),
                ("security_amount_raw", models.DecimalField(**UNITS)),
                ("currency_amount_raw", models.DecimalField(**UNITS)),
                (
                    "bond",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="investment_records", to="bonds.bond"
                    ),
                ),
                (
                    "bond_investor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="records",
                        to="bonds.bondinvestor",
                    ),
                ),
            ],
            options={
                "db_table": "bond_investment_records",
                "indexes": [models.Index(fields=["bond", "block_height"], name="bonds_investment_by_block")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["transaction_hash", "event_index"], name="bonds_investmentrecord_once"
                    ),
                    models.CheckConstraint(
                        name="bonds_investmentrecord_kind_known", condition=Q(kind__in=["invest", "claim", "refund"])
                    ),
                    models.CheckConstraint(
                        name="bonds_investmentrecord_amounts_not_negative",
                        condition=Q(security_amount_raw__gte=0, currency_amount_raw__gte=0),
                    ),
                    models.CheckConstraint(name="bonds_investmentrecord_investor_present", condition=~Q(investor="")),
                ],
            },
        ),
        migrations.CreateModel(
            name="RegistryChange",
            fields=[
                *of_an_event(),
                ("contract_index", models.BigIntegerField()),
                ("contract_subindex", models.BigIntegerField()),
                ("address", models.CharField(max_length=60)),
                (
                    "state",
                    models.CharField(
                        max_length=15,
                        choices=[
                            ("whitelisted", "whitelisted"),
                            ("blacklisted", "blacklisted"),
                            ("not_in_registry", "not_in_registry"),
                        ],
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["transaction_hash", "event_index"], name="bonds_registrychange_once"
                    ),
                    models.CheckConstraint(
                        name="bonds_registrychange_state_known",
                        condition=Q(state__in=["whitelisted", "blacklisted", "not_in_registry"]),
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ParkedEvent",
            fields=[
                *of_an_event(),
                ("contract_index", models.BigIntegerField()),
                ("contract_subindex", models.BigIntegerField()),
                ("module_ref", models.CharField(max_length=64)),
                ("data", models.BinaryField()),
                ("reason", models.TextField()),
                (
                    "parked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution_reason", models.TextField(blank=True, default="")),
                (
                    "resolved_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["block_height"],
                        condition=Q(resolved_at__isnull=True),
                        name="bonds_parkedevent_unresolved",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=["transaction_hash", "event_index"], name="bonds_parkedevent_once"),
                    models.CheckConstraint(
                        name="bonds_parkedevent_resolved_by_somebody_for_a_reason",
                        condition=Q(resolved_at__isnull=True, resolved_by__isnull=True, resolution_reason="")
                        | (Q(resolved_at__isnull=False, resolved_by__isnull=False) & ~Q(resolution_reason="")),
                    ),
                ],
            },
        ),
        migrations.RunSQL(REFUSE_REWRITE, "DROP FUNCTION bonds_refuse_rewrite();"),
        *[trigger(table, function) for table, function in TRIGGERS.items()],
    ]
