"""Rows that are evidence are never changed: the database itself refuses UPDATE and DELETE on them."""

from django.db import migrations

TABLES = ["bonds_lotchange", "bonds_snapshot", "bonds_snapshotlot", "bonds_journalentry"]

CREATE_FUNCTION = """
CREATE FUNCTION bonds_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
CREATE_TRIGGER = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION bonds_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("bonds", "0001_instrument_holdings_and_payments")]

    operations = [
        migrations.RunSQL(CREATE_FUNCTION, "DROP FUNCTION bonds_refuse_change();"),
        *[
            migrations.RunSQL(CREATE_TRIGGER.format(table=table), f"DROP TRIGGER {table}_append_only ON {table};")
            for table in TABLES
        ],
    ]
