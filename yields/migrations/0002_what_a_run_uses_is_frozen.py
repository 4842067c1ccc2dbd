"""What a run computed with and what it computed is evidence: the database itself refuses to change it."""

from django.db import migrations

FREEZE_CONFIG = """
CREATE FUNCTION yields_refuse_used_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM yield_distribution_jobs WHERE config_id = OLD.id)
       AND to_jsonb(NEW) - 'superseded_at' - 'updated_at' <> to_jsonb(OLD) - 'superseded_at' - 'updated_at' THEN
        RAISE EXCEPTION 'yields_yieldconfig_frozen_by_run: a config with a run is superseded, never changed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER yields_yieldconfig_frozen_by_run BEFORE UPDATE ON yield_configs
    FOR EACH ROW EXECUTE FUNCTION yields_refuse_used_config();
"""
FREEZE_TERMS = """
CREATE FUNCTION yields_refuse_new_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.config_id, NEW.bond_id, NEW.period_start, NEW.period_end, NEW.terms, NEW.terms_hash)
       IS DISTINCT FROM (OLD.config_id, OLD.bond_id, OLD.period_start, OLD.period_end, OLD.terms, OLD.terms_hash) THEN
        RAISE EXCEPTION 'yields_yielddistribution_terms_frozen: a run keeps the terms it started with'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.plan_hash <> '' AND (NEW.plan_hash, NEW.snapshot_id, NEW.total_recipients, NEW.total_units,
                                NEW.exact_liability, NEW.rounding_residual)
       IS DISTINCT FROM (OLD.plan_hash, OLD.snapshot_id, OLD.total_recipients, OLD.total_units,
                         OLD.exact_liability, OLD.rounding_residual) THEN
        RAISE EXCEPTION 'yields_yielddistribution_plan_frozen: a plan is made once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER yields_yielddistribution_terms_frozen BEFORE UPDATE ON yield_distribution_jobs
    FOR EACH ROW EXECUTE FUNCTION yields_refuse_new_terms();
"""
FREEZE_LINES = """
CREATE FUNCTION yields_refuse_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.payment_id IS NULL
       AND (NEW.id, NEW.run_id, NEW.position, NEW.holder, NEW.bond_tokens_held_raw, NEW.exact_numerator,
            NEW.exact_denominator, NEW.amount_units, NEW.calculation_details)
       IS NOT DISTINCT FROM (OLD.id, OLD.run_id, OLD.position, OLD.holder, OLD.bond_tokens_held_raw, OLD.exact_numerator,
                             OLD.exact_denominator, OLD.amount_units, OLD.calculation_details) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'yields_yieldpayment_frozen: a computed line only ever gets its payment'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER yields_yieldpayment_frozen BEFORE UPDATE OR DELETE ON yield_payments
    FOR EACH ROW EXECUTE FUNCTION yields_refuse_line_change();
"""


class Migration(migrations.Migration):
    dependencies = [("yields", "0001_coupons_runs_and_lines")]

    operations = [
        migrations.RunSQL(
            FREEZE_CONFIG,
            "DROP TRIGGER yields_yieldconfig_frozen_by_run ON yield_configs; DROP FUNCTION yields_refuse_used_config();",
        ),
        migrations.RunSQL(
            FREEZE_TERMS,
            "DROP TRIGGER yields_yielddistribution_terms_frozen ON yield_distribution_jobs; DROP FUNCTION yields_refuse_new_terms();",
        ),
        migrations.RunSQL(
            FREEZE_LINES,
            "DROP TRIGGER yields_yieldpayment_frozen ON yield_payments; DROP FUNCTION yields_refuse_line_change();",
        ),
    ]
