"""What the database itself watches over: an envelope's moves, and rows that are only ever added.

The moves are those of `outbox.envelope.MOVES` when this migration was written into a database. Who
changes that table adds a migration that runs `envelope_sql()` again; a test compares the two.

Moves are checked row by row: joining the old rows of a statement to its new ones was slower, for the
planner knows nothing of either. Retention will need a migration of its own to be allowed to delete.
"""

from django.db import migrations

from duewise.outbox.envelope import MOVES, State

APPEND_ONLY = ("envelope_change", "verdict")


def envelope_sql() -> str:
    """The function and triggers that check and record every move, from the one table of moves."""
    moves = ", ".join(f"'{old}>{new}'" for old in State for new in State if new in MOVES[old])
    return f"""
CREATE OR REPLACE FUNCTION envelope_moves() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[{moves}]
$$;

CREATE OR REPLACE FUNCTION envelope_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO envelope_change (envelope_id, at, old_state, new_state, reason)
    SELECT envelope_id, created_at, NULL, state, reason FROM new_rows;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION envelope_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state || '>' || NEW.state <> ALL (envelope_moves()) THEN
        RAISE EXCEPTION 'envelope % may not go from % to %', OLD.envelope_id, OLD.state, NEW.state
              USING ERRCODE = 'check_violation', TABLE = 'envelope', CONSTRAINT = 'envelope_moves';
    END IF;
    INSERT INTO envelope_change (envelope_id, at, old_state, new_state, reason)
    VALUES (NEW.envelope_id, NEW.changed_at, OLD.state, NEW.state, NEW.reason);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER envelope_added AFTER INSERT ON envelope
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION envelope_added();
CREATE OR REPLACE TRIGGER envelope_moved AFTER UPDATE OF state ON envelope
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION envelope_moved();
"""


APPEND_ONLY_SQL = """
CREATE FUNCTION only_appended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME
          USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END $$;
""" + "".join(
    f"CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION only_appended();\n"
    for table in APPEND_ONLY
)

# A receipt may come before we know whose it is: it is given its envelope later, once.
RECEIPT_SQL = """
CREATE FUNCTION receipt_matched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.envelope_id IS NOT NULL
       OR to_jsonb(OLD) - 'envelope_id' <> to_jsonb(NEW) - 'envelope_id' THEN
        RAISE EXCEPTION 'a receipt is only ever given its envelope, once'
              USING ERRCODE = 'restrict_violation', TABLE = 'receipt';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER receipt_matched BEFORE UPDATE ON receipt
    FOR EACH ROW EXECUTE FUNCTION receipt_matched();
CREATE TRIGGER only_appended BEFORE DELETE OR TRUNCATE ON receipt
    FOR EACH STATEMENT EXECUTE FUNCTION only_appended();
"""


class Migration(migrations.Migration):
    """Runs forward only."""

    dependencies = [("store", "0001_initial")]
    operations = [
        migrations.RunSQL(envelope_sql()),
        migrations.RunSQL(APPEND_ONLY_SQL),
        migrations.RunSQL(RECEIPT_SQL),
    ]
