-- add_raw
-- What callers told in a moment, sealed, before they are answered; or what cannot be taken in, and why.
INSERT INTO raw_inbound (route, kind, body, at, replies, reason)
VALUES (%(route)s, %(kind)s, %(body)s, %(at)s, %(replies)s, %(reason)s) RETURNING raw_id;

-- hold_raw
-- Before borrowers' words are acted upon: a sender may be at them, too.
SELECT raw_id FROM raw_inbound WHERE raw_id = ANY(%(raw_ids)s) ORDER BY raw_id FOR UPDATE;

-- drop_raw
DELETE FROM raw_inbound WHERE raw_id = ANY(%(raw_ids)s);

-- raw_of
SELECT raw_id, body FROM raw_inbound WHERE route = %(route)s AND reason IS NULL ORDER BY raw_id;

-- any_unheeded
-- Also true while whoever was called is at it.
SELECT EXISTS (SELECT 1 FROM raw_inbound WHERE replies > 0 AND reason IS NULL);

-- raw_replies
-- What borrowers told, of all routes, that is not acted upon yet.
SELECT raw_id, route, kind, body FROM raw_inbound
 WHERE replies > 0 AND reason IS NULL ORDER BY raw_id LIMIT 100 FOR UPDATE;

-- heeded
UPDATE raw_inbound SET replies = 0 WHERE raw_id = ANY(%(raw_ids)s);

-- set_row_aside
UPDATE raw_inbound SET reason = %(reason)s WHERE raw_id = %(raw_id)s;

-- set_aside
SELECT route, reason, count(*) AS count, min(at) AS since
  FROM raw_inbound WHERE reason IS NOT NULL GROUP BY route, reason ORDER BY route, reason;

-- whose_receipts
-- The envelopes of receipts, in their order, by the two surest of the means of `match_receipts`; whether
-- something was told before under the same id; and a number for the block of those that end theirs.
SELECT COALESCE((SELECT s.envelope_id FROM submission s
                  WHERE s.route = %(route)s AND s.provider_id = r.provider_id),
                (SELECT e.envelope_id FROM envelope e
                  WHERE e.attempt > 0
                    AND e.envelope_id = CASE WHEN r.reference ~ '^[0-9]{1,18}$'
                                             THEN r.reference::bigint END)) AS envelope_id,
       EXISTS (SELECT 1 FROM receipt_row k
                WHERE k.route = %(route)s AND k.provider_id = r.provider_id) AS is_told,
       (SELECT nextval(pg_get_serial_sequence('receipt_block', 'block_id'))) AS block_id
  FROM unnest(%(provider_ids)s::text[], %(references)s::text[])
       WITH ORDINALITY AS r (provider_id, reference, place)
 ORDER BY r.place;

-- fold_whole
-- Told of all their parts at once, and each is delivered: nothing that was told before can change
-- that. Who is in doubt, or waits to be sent once more, takes the longer way.
UPDATE envelope
   SET state = 'delivered', reason = %(reason)s, changed_at = %(now)s, owner = NULL,
       told_in = %(block_id)s
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state IN ('sending', 'accepted')
   AND wired_at IS NOT NULL AND parts = ANY(%(parts)s::int[]) AND told_in IS NULL
RETURNING envelope_id;

-- add_receipt_block
-- What ended its envelopes: each of them names this block.
INSERT INTO receipt_block (block_id, route, taken_at, receipt_id, envelope_ids, provider_ids, codes,
                           refs, at_us)
VALUES (%(block_id)s, %(route)s, %(now)s,
        nextval(pg_get_serial_sequence('receipt_row', 'receipt_id')), %(envelope_ids)s::bigint[],
        %(provider_ids)s::text[], %(codes)s::text[], %(references)s::text[], %(at_us)s::bigint[]);

-- add_receipts
-- All other news, a row each. A receipt said twice is kept once, whether in a row or in a block.
INSERT INTO receipt_row (route, provider_id, status, code, reference, at, envelope_id)
SELECT %(route)s, r.provider_id, r.status, r.code, r.reference, r.at, r.envelope_id
  FROM unnest(%(provider_ids)s::text[], %(statuses)s::text[], %(codes)s::text[],
              %(references)s::text[], %(ats)s::timestamptz[], %(envelope_ids)s::bigint[])
       AS r (provider_id, status, code, reference, at, envelope_id)
 WHERE NOT (r.status = 'delivered'
            AND EXISTS (SELECT 1 FROM envelope e JOIN receipt_block b ON b.block_id = e.told_in
                         WHERE e.envelope_id = r.envelope_id AND b.route = %(route)s
                           AND r.provider_id = ANY(b.provider_ids)))
ON CONFLICT (route, provider_id, status) DO NOTHING
RETURNING envelope_id;

-- match_receipts
-- Give every unmatched receipt of a route its envelope: by the gateway's id; else by our echoed reference, if
-- that envelope was ever on the wire; else by the id in its other notation, if only one answers.
UPDATE receipt_row AS receipt
   SET envelope_id = found.envelope_id
  FROM (SELECT r.receipt_id,
               COALESCE(s.envelope_id, e.envelope_id, other.envelope_id) AS envelope_id
          FROM receipt_row r
          LEFT JOIN submission s ON s.route = r.route AND s.provider_id = r.provider_id
          LEFT JOIN envelope e ON e.attempt > 0
                              AND e.envelope_id = CASE WHEN r.reference ~ '^[0-9]{1,18}$'
                                                       THEN r.reference::bigint END
          LEFT JOIN LATERAL (
               SELECT min(o.envelope_id) AS envelope_id
                 FROM submission o
                WHERE s.envelope_id IS NULL AND e.envelope_id IS NULL AND o.route = r.route
                  AND o.provider_id IN (
                      CASE WHEN r.provider_id ~ '^[0-9]{1,18}$'
                           THEN to_hex(r.provider_id::bigint) END,
                      CASE WHEN r.provider_id ~ '^[0-9a-f]{1,15}$'
                           THEN ('x' || lpad(r.provider_id, 16, '0'))::bit(64)::bigint::text END)
               HAVING count(*) = 1) AS other ON true
         WHERE r.envelope_id IS NULL AND r.route = %(route)s) AS found
 WHERE receipt.receipt_id = found.receipt_id AND found.envelope_id IS NOT NULL
RETURNING receipt.envelope_id;

-- receipts_of
-- All that is known of the parts of these envelopes, but for those that a block has ended.
SELECT e.envelope_id, e.state, e.parts, r.provider_id, r.status, r.code
  FROM envelope e
  JOIN receipt_row r USING (envelope_id)
 WHERE e.envelope_id = ANY(%(envelope_ids)s::bigint[])
 ORDER BY e.envelope_id, r.receipt_id
   FOR UPDATE OF e;

-- lock_envelopes
-- Whether the answer is on record, or still to come from whoever is at work on it; and whether the
-- envelope waits to be sent once more.
SELECT e.owner IS NOT NULL
       OR EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = e.envelope_id AND s.part > 0),
       e.state = 'ready' OR (e.state = 'sending' AND e.wired_at IS NULL)
  FROM envelope e
 WHERE e.envelope_id = ANY(%(envelope_ids)s::bigint[]) ORDER BY e.envelope_id FOR UPDATE OF e;

-- adopt_submissions
-- A receipt proves a submission whose answer was lost.
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT r.envelope_id, r.route, r.provider_id, 0, r.at
  FROM receipt r
 WHERE r.envelope_id = ANY(%(envelope_ids)s::bigint[])
   AND NOT EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = r.envelope_id AND s.part > 0)
 ORDER BY r.provider_id
ON CONFLICT (route, provider_id) DO NOTHING;

-- take_off_queue
-- A receipt, if only for one part, of what was to be sent once more for want of it: it must not
-- leave again.
UPDATE envelope
   SET state = 'sending', reason = 'receipt_after_doubt', owner = NULL, wired_at = %(now)s,
       changed_at = %(now)s
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND attempt > 0
   AND (state = 'ready' OR (state = 'sending' AND wired_at IS NULL));

-- back_in_doubt
-- The second half of `take_off_queue`; the receipts then say what became of it.
UPDATE envelope
   SET state = 'unknown'
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state = 'sending' AND owner IS NULL;

-- fold_receipts
UPDATE envelope
   SET state = %(state)s, reason = %(reason)s, changed_at = %(now)s, owner = NULL,
       wired_at = COALESCE(wired_at, %(now)s)
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state <> %(state)s;

-- add_reply
INSERT INTO reply (borrower_id, number_token, route, inbound_id, text_sealed, intent, action, at)
VALUES (%(borrower_id)s, %(number_token)s, %(route)s, %(inbound_id)s, %(text_sealed)s, %(intent)s,
        %(action)s, %(at)s)
ON CONFLICT (route, inbound_id) DO NOTHING
RETURNING reply_id;

-- opt_out
INSERT INTO opt_out (borrower_id, channel, at, source, is_active)
VALUES (%(borrower_id)s, %(channel)s, %(at)s, %(source)s, true)
ON CONFLICT (borrower_id, channel) DO UPDATE SET is_active = true, at = excluded.at;

-- cancel_unsent
-- Nothing more goes to this borrower on this channel (null: on any).
WITH unsent AS MATERIALIZED (
    SELECT envelope_id FROM envelope
     WHERE borrower_id = %(borrower_id)s
       AND (%(channel)s::text IS NULL OR channel = %(channel)s::text)
       AND (state IN ('ready', 'held') OR (state = 'sending' AND wired_at IS NULL))
     ORDER BY envelope_id FOR UPDATE
)
UPDATE envelope
   SET state = 'cancelled', reason = %(reason)s, changed_at = %(now)s, owner = NULL
  FROM unsent
 WHERE envelope.envelope_id = unsent.envelope_id;

-- hold_unsent
-- Stop what has not left yet, until it is planned again on the new facts. Whoever said "paid" waits
-- for the payment: what was held for that word now goes by the news. Rows are locked in the order in
-- which senders lock them, so that neither waits for the other in a ring.
WITH unsent AS MATERIALIZED (
    SELECT envelope_id FROM envelope
     WHERE borrower_id = ANY(%(borrower_ids)s)
       AND (state = 'ready' OR (state = 'sending' AND wired_at IS NULL)
            OR (state = 'held' AND reason = 'reply_paid'))
     ORDER BY envelope_id FOR UPDATE
)
UPDATE envelope
   SET state = 'held', reason = %(reason)s, changed_at = %(now)s, owner = NULL
  FROM unsent
 WHERE envelope.envelope_id = unsent.envelope_id
RETURNING envelope.envelope_id;

-- mark_wrong_party
UPDATE person SET is_wrong_party = true WHERE borrower_id = %(borrower_id)s;

-- open_case
INSERT INTO case_file (borrower_id, kind, opened_at, source)
SELECT %(borrower_id)s, %(kind)s, %(at)s, %(source)s
 WHERE NOT EXISTS (SELECT 1 FROM case_file
                    WHERE borrower_id = %(borrower_id)s AND kind = %(kind)s AND closed_at IS NULL);

-- borrowers_of_number
-- Whose number it is; first the one we wrote to last, for a reply answers that.
SELECT p.borrower_id
  FROM person p
 WHERE p.number_token = %(number_token)s
 ORDER BY (SELECT max(e.wired_at) FROM envelope e WHERE e.borrower_id = p.borrower_id)
          DESC NULLS LAST, p.borrower_id;

-- borrower_written_to
-- Whose message it is that was answered; only what was on the wire can be.
SELECT borrower_id FROM envelope WHERE envelope_id = %(id)s AND attempt > 0;

-- addresses_of
-- Where these envelopes went, as it is known today.
SELECT e.envelope_id, e.channel, e.borrower_id,
       CASE e.channel WHEN 'sms' THEN p.phone_sealed WHEN 'push' THEN p.push_token_sealed
                      WHEN 'wechat' THEN p.wechat_openid_sealed ELSE p.email_sealed END
  FROM envelope e JOIN person p USING (borrower_id)
 WHERE e.envelope_id = ANY(%(envelope_ids)s) AND e.attempt > 0;

-- add_payments
INSERT INTO payment_event (payment_id, loan_id, borrower_id, paid_at, known_at, amount_minor,
                           currency, kind, reverses, source)
SELECT p.payment_id, p.loan_id, p.borrower_id, p.paid_at, %(now)s, p.amount_minor, p.currency,
       p.kind, p.reverses, p.source
  FROM unnest(%(payment_ids)s::text[], %(loan_ids)s::text[], %(borrower_ids)s::text[],
              %(paid_ats)s::timestamptz[], %(amounts)s::bigint[], %(currencies)s::text[],
              %(kinds)s::text[], %(reverses)s::text[], %(sources)s::text[])
       AS p (payment_id, loan_id, borrower_id, paid_at, amount_minor, currency, kind, reverses,
             source)
ON CONFLICT (payment_id) DO NOTHING
RETURNING payment_id, borrower_id;

-- set_feed
INSERT INTO feed (name, complete_until) VALUES (%(name)s, %(complete_until)s)
ON CONFLICT (name) DO UPDATE
   SET complete_until = greatest(feed.complete_until, excluded.complete_until);

-- strangers
-- The first of these borrowers whom nobody knows.
SELECT b FROM unnest(%(borrower_ids)s::text[]) AS b
 WHERE NOT EXISTS (SELECT 1 FROM person p WHERE p.borrower_id = b)
 ORDER BY b LIMIT 1;

-- add_contacts
-- Contacts made elsewhere. The people's rows are locked as a claim locks them, in one order: a claim
-- either sees the contact, or is over and its envelopes are taken back by `unclaim`.
WITH locked AS (
    SELECT borrower_id FROM person
     WHERE borrower_id = ANY(%(borrower_ids)s::text[]) ORDER BY borrower_id FOR UPDATE
)
INSERT INTO contact (contact_id, borrower_id, at, known_at, channel, dir, outcome, stage, actor,
                     number_token, loan_id, flags)
SELECT c.contact_id, c.borrower_id, c.at, %(now)s, c.channel, c.dir, c.outcome, c.stage, c.actor,
       c.number_token, c.loan_id, string_to_array(c.flags, ' ')
  FROM unnest(%(contact_ids)s::text[], %(borrower_ids)s::text[], %(ats)s::timestamptz[],
              %(channels)s::text[], %(dirs)s::text[], %(outcomes)s::text[], %(stages)s::text[],
              %(actors)s::text[], %(number_tokens)s::text[], %(loan_ids)s::text[],
              %(flags)s::text[])
       AS c (contact_id, borrower_id, at, channel, dir, outcome, stage, actor, number_token,
             loan_id, flags)
  JOIN locked USING (borrower_id)
ON CONFLICT (contact_id) DO NOTHING
RETURNING borrower_id;

-- unclaim
-- Judged before this contact was known, and not a byte written: back to be judged on it.
WITH unsent AS MATERIALIZED (
    SELECT envelope_id FROM envelope
     WHERE borrower_id = ANY(%(borrower_ids)s) AND state = 'sending' AND wired_at IS NULL
     ORDER BY envelope_id FOR UPDATE
)
UPDATE envelope
   SET state = 'ready', owner = NULL, reason = 'contact_reported', changed_at = %(now)s
  FROM unsent
 WHERE envelope.envelope_id = unsent.envelope_id;
