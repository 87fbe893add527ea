"""Storage settings of the hot tables: every item is rewritten two or three times within seconds."""

from django.db import migrations

HOT = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,"
    " autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02,"
    " autovacuum_vacuum_cost_delay = 1"
)
# Room on the page for the next version of a counter: the update then touches no index.
SETTINGS = {
    "batches_item": HOT,
    "batches_lease": f"fillfactor = 50, {HOT}",
    "batches_batch": f"fillfactor = 50, {HOT}",
    "batches_batchhistogram": f"fillfactor = 70, {HOT}",
    "batches_worker": f"fillfactor = 50, {HOT}",
    "batches_itemerror": HOT,
}


class Migration(migrations.Migration):
    dependencies = [("batches", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET ({settings})",
            f"ALTER TABLE {table} RESET ({', '.join(part.split('=')[0].strip() for part in settings.split(','))})",
        )
        for table, settings in SETTINGS.items()
    ]
