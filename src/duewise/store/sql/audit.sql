-- verdict_numbers
-- Numbers for verdicts to come: a record is written with its verdict, and names it.
SELECT nextval(pg_get_serial_sequence('verdict', 'verdict_id')) FROM generate_series(1, %(n)s);

-- add_unsealed
-- The records of verdicts just written, in their transaction: they wait for the sealer.
INSERT INTO unsealed (at, verdict_ids, body) VALUES (%(at)s, %(verdict_ids)s, %(body)s);

-- sealer_lock
-- One sealer at a time; another one has nothing to do here.
SELECT pg_try_advisory_xact_lock(%(lock_class)s, 0) AS is_ours;

-- last_head
-- The newest batch, or the one of a number.
SELECT number, first, records, sealed_at, root, previous
  FROM audit_batch
 WHERE %(number)s::bigint IS NULL OR number = %(number)s::bigint
 ORDER BY number DESC LIMIT 1;

-- unsealed
SELECT unsealed_id, at, verdict_ids, body FROM unsealed ORDER BY unsealed_id LIMIT %(limit)s;

-- add_batch
INSERT INTO audit_batch (number, first, records, from_at, until_at, verdict_ids, first_verdict,
                         last_verdict, sealed_at, root, previous, key, signature, leaves,
                         body)
VALUES (%(number)s, %(first)s, %(records)s, %(from_at)s, %(until_at)s, %(verdict_ids)s::bigint[],
        %(first_verdict)s, %(last_verdict)s, %(sealed_at)s, %(root)s, %(previous)s, %(key)s, %(signature)s, %(leaves)s, %(body)s);

-- drop_unsealed
DELETE FROM unsealed WHERE unsealed_id = ANY(%(unsealed_ids)s);

-- batches
-- In their order, from a number on; of a span of instants where one is given.
SELECT number, first, records, sealed_at, root, previous, key, signature, leaves, verdict_ids,
       body
  FROM audit_batch
 WHERE number >= %(since)s
   AND (%(from_at)s::timestamptz IS NULL OR until_at >= %(from_at)s::timestamptz)
   AND (%(until_at)s::timestamptz IS NULL OR from_at < %(until_at)s::timestamptz)
 ORDER BY number;

-- batch_of
-- Batches are nearly in the order of their verdicts: the ranges leave one or two to look into.
SELECT number, first, records, sealed_at, root, previous, key, signature, leaves, verdict_ids,
       body
  FROM audit_batch
 WHERE %(verdict_id)s BETWEEN first_verdict AND last_verdict
   AND %(verdict_id)s::bigint = ANY(verdict_ids)
 ORDER BY number LIMIT 1;

-- sealed_counts
-- How many verdicts there are since evidence began, how many are sealed, how many wait, since when.
SELECT (SELECT count(*) FROM verdict v
         WHERE v.verdict_id >= LEAST((SELECT min(first_verdict) FROM audit_batch),
                                     (SELECT min(u) FROM unsealed, unnest(verdict_ids) AS u))
       ) AS verdicts,
       (SELECT COALESCE(sum(records), 0)::bigint FROM audit_batch) AS sealed,
       (SELECT COALESCE(sum(cardinality(verdict_ids)), 0)::bigint FROM unsealed) AS waiting,
       (SELECT min(at) FROM unsealed) AS waiting_since;

-- verdicts_as_told
-- What the table of verdicts says, to be held against what was sealed.
SELECT verdict_id, envelope_id, gate, outcome, rules
  FROM verdict WHERE verdict_id = ANY(%(verdict_ids)s);

-- texts
SELECT envelope_id, borrower_id, text_sealed
  FROM envelope WHERE envelope_id = ANY(%(envelope_ids)s) AND text_sealed IS NOT NULL;

-- pack_person
SELECT borrower_id, name_sealed, phone_sealed, timezone, number_state, is_wrong_party
  FROM person WHERE borrower_id = %(borrower_id)s;

-- pack_days
-- The days for which envelopes of the borrower were made.
SELECT DISTINCT as_of FROM envelope WHERE borrower_id = %(borrower_id)s;

-- pack_payments
SELECT known_at, paid_at, payment_id, loan_id, amount_minor, currency, kind, reverses, source
  FROM payment_event WHERE borrower_id = %(borrower_id)s ORDER BY known_at, payment_id;

-- pack_replies
SELECT at, route, intent, action, text_sealed, number_token
  FROM reply WHERE borrower_id = %(borrower_id)s ORDER BY at, reply_id;

-- pack_approvals
-- Who approved, or withdrew, the texts written to a borrower, in the wording that was written.
SELECT a.template, a.content_hash, a.what, a.author, a."by", a.at, a.why
  FROM template_approval a
 WHERE (a.template, a.content_hash) IN (SELECT e.template, e.template_hash FROM envelope e
                                         WHERE e.borrower_id = %(borrower_id)s)
 ORDER BY a.approval_id;

-- pack_cases
SELECT kind, opened_at, closed_at, source
  FROM case_file WHERE borrower_id = %(borrower_id)s ORDER BY opened_at, kind;

-- pack_opt_outs
SELECT channel, at, source, is_active
  FROM opt_out WHERE borrower_id = %(borrower_id)s ORDER BY at, channel;

-- pack_contacts
SELECT at, known_at, channel, dir, outcome, stage, actor, loan_id
  FROM contact WHERE borrower_id = %(borrower_id)s ORDER BY at, contact_id;
