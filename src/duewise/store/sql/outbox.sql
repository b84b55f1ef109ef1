-- enlist
-- A worker's number, and with it a lock that lives exactly as long as the worker's session.
SELECT owner, pg_try_advisory_lock(%(lock_class)s, owner::int) AS is_locked
  FROM (SELECT nextval('worker_number') AS owner) AS enlisted;

-- orphaned_owners
-- Owners of open claims whose session has ended: their lock is free. We hold it afterwards.
SELECT owner
  FROM (SELECT DISTINCT owner FROM claim WHERE settled_at IS NULL AND owner <> %(owner)s) AS s
 WHERE pg_try_advisory_lock(%(lock_class)s, owner::int);

-- recover_unwired
-- Claimed, but not a byte was written: nothing happened.
UPDATE envelope
   SET state = 'ready', owner = NULL, reason = 'worker_lost_before_wire', changed_at = %(now)s
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state = 'sending' AND owner = %(owner)s
   AND wired_at IS NULL;

-- adopt_of_lost
-- A receipt proves what a lost worker had not stored: the gateway's answer.
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT r.envelope_id, r.route, r.provider_id, 0, r.at
  FROM receipt r
 WHERE r.envelope_id = ANY(%(envelope_ids)s::bigint[])
   AND NOT EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = r.envelope_id AND s.part > 0)
 ORDER BY r.provider_id
ON CONFLICT (route, provider_id) DO NOTHING;

-- recover_wired
-- Bytes may have been written: in doubt, and never sent again blindly.
UPDATE envelope
   SET state = 'unknown', owner = NULL, reason = 'worker_lost_on_wire', changed_at = %(now)s
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state = 'sending' AND owner = %(owner)s
   AND wired_at IS NOT NULL;

-- open_claims
-- What a worker has claimed, and has not yet said of that it is through with it.
SELECT claim_id, envelope_ids FROM claim WHERE owner = %(owner)s AND settled_at IS NULL;

-- close_claims
-- A worker is through with these: each envelope was settled, given back or taken over.
UPDATE claim SET settled_at = %(now)s
 WHERE claim_id = ANY(%(claim_ids)s::bigint[]) AND owner = %(owner)s AND settled_at IS NULL;

-- answer_claim
-- All of a chunk was accepted, and nobody has taken it for lost: its answer stands in `submission`,
-- and its envelopes are told so by `accept_answered`, unless their receipts are there before.
UPDATE claim SET settled_at = %(now)s, is_answered = true
 WHERE claim_id = %(claim_id)s AND owner = %(owner)s AND settled_at IS NULL
RETURNING claim_id;

-- answered_claims
-- Chunks that were answered so long ago, and whose envelopes are still to be told so.
UPDATE claim SET is_answered = false
  FROM (SELECT claim_id FROM claim
         WHERE is_answered AND settled_at <= %(until)s
         ORDER BY claim_id FOR UPDATE SKIP LOCKED) AS answered
 WHERE claim.claim_id = answered.claim_id
RETURNING claim.owner, claim.settled_at, claim.envelope_ids;

-- accept_answered
-- What was accepted, and is not told of by its receipts before.
UPDATE envelope
   SET state = 'accepted', reason = 'accepted_by_gateway', changed_at = %(at)s, owner = NULL
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state = 'sending' AND owner = %(owner)s
   AND wired_at IS NOT NULL;

-- release_lock
SELECT pg_advisory_unlock(%(lock_class)s, %(owner)s::int);

-- lapse
-- Validity ended before the wire.
WITH late AS MATERIALIZED (
    SELECT e.envelope_id
      FROM waiting w JOIN envelope e USING (envelope_id)
     WHERE w.state IN ('ready', 'held') AND w.valid_until <= %(now)s
       AND e.state IN ('ready', 'held') AND e.valid_until <= %(now)s
     ORDER BY e.envelope_id FOR UPDATE OF e
)
UPDATE envelope
   SET state = 'lapsed', changed_at = %(now)s,
       reason = CASE WHEN state = 'held' THEN 'validity_ended_while_held: ' || reason
                     ELSE 'validity_ended' END
  FROM late
 WHERE envelope.envelope_id = late.envelope_id;

-- due
-- Up to limit envelopes that may go now and whose slot is the route's (`outbox.ways`), one per borrower,
-- locked with their people until the commit that puts them on the wire: two workers cannot judge one
-- borrower's caps side by side, and whoever would hold one of these waits. None while the route is
-- paused, but for a probe. Workers may race: none waits. Lane after lane (`outbox.envelope`), each read
-- in its own order by the index and only as far as is needed: no sort, and no row locked that is not
-- taken. Each is read from where its reader has come to: while anything looks at an older state of the
-- database, a report or a sweep, what was taken off leaves its place to be passed again and again.
-- What `waiting` says is asked of the envelope again, once it is locked. The CASE hides the slots
-- from the planner, which takes any multirange for one that hardly a row is in, and would sort.
WITH due AS MATERIALIZED (
    SELECT d.*
      FROM unnest(%(lanes)s::smallint[], %(after_at)s::timestamptz[], %(after_id)s::bigint[])
           AS lane (lane, after_at, after_id),
           LATERAL (
    SELECT e.envelope_id, e.key, e.borrower_id, e.loan_id, e.stage, e.channel, e.template,
           e.amount_minor, e.currency, e.due_date, e.facts, e.text_sealed, e.parts, e.sender_id,
           e.number_token, e.lane, e.not_before, e.valid_until, e.attempt + 1 AS attempt, e.sent_in,
           CASE e.channel WHEN 'sms' THEN p.phone_sealed WHEN 'push' THEN p.push_token_sealed
                          WHEN 'wechat' THEN p.wechat_openid_sealed
                          ELSE p.email_sealed END AS address_sealed,
           p.number_state, p.is_wrong_party, p.timezone
      FROM waiting w
      JOIN envelope e USING (envelope_id)
      JOIN person p USING (borrower_id)
     WHERE w.state = 'ready' AND w.lane = lane.lane AND w.not_before <= %(now)s
       AND (w.not_before, w.envelope_id) > (lane.after_at, lane.after_id)
       AND w.valid_until > %(now)s AND w.channel = ANY(%(channels)s)
       AND e.state = 'ready' AND e.not_before <= %(now)s AND e.valid_until > %(now)s
       AND CASE WHEN %(slots)s::int4multirange @> mod(w.envelope_id * 621, 1000)::int
                THEN true ELSE false END
       AND (%(is_probe)s
            OR NOT EXISTS (SELECT 1 FROM route WHERE name = %(route)s AND paused_at IS NOT NULL))
     ORDER BY w.not_before, w.envelope_id
     LIMIT %(limit)s
       FOR UPDATE OF e, p SKIP LOCKED) AS d
     LIMIT %(limit)s
)
SELECT DISTINCT ON (borrower_id)
       envelope_id, key, borrower_id, loan_id, stage, channel, template, amount_minor, currency,
       due_date, (facts->>'grace_days')::bigint AS grace_days,
       (facts->>'tolerance_minor')::bigint AS tolerance_minor,
       (facts->>'annual_rate')::float8 AS annual_rate,
       (facts->>'penalty_multiplier')::float8 AS penalty_multiplier,
       (facts->>'known_at')::timestamptz AS known_at,
       text_sealed, parts, sender_id, number_token, lane, not_before, valid_until, attempt, sent_in,
       address_sealed, number_state, is_wrong_party, timezone
  FROM due
 ORDER BY borrower_id, lane, not_before, envelope_id;

-- add_claim
-- One row for all that goes on the wire together: by it a lost worker's envelopes are found.
INSERT INTO claim (owner, envelope_ids, at)
VALUES (%(owner)s, %(envelope_ids)s::bigint[], %(now)s) RETURNING claim_id;

-- mark_wired
-- The intent, durable before the first byte: from here on a lost worker leaves a doubt. Here the
-- attempt counts: what a gate defers has not been tried. Its first block stays an envelope's block.
UPDATE envelope
   SET state = 'sending', owner = %(owner)s, wired_at = %(now)s, attempt = attempt + 1,
       route = %(route)s, reason = 'claimed', changed_at = %(now)s,
       sent_in = COALESCE(sent_in, %(sent_in)s)
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) AND state = 'ready';

-- cross
-- A chunk is about to be marked: payments that find it marked wait from here on.
SELECT pg_advisory_lock(%(lock_class)s, %(owner)s::int);

-- crossed
SELECT pg_advisory_unlock(%(lock_class)s, %(owner)s::int);

-- crossing
-- The senders in whose hands a notice to one of these borrowers is: marked, and not settled yet.
SELECT DISTINCT e.owner
  FROM envelope e
 WHERE EXISTS (SELECT FROM claim WHERE settled_at IS NULL)
   AND e.borrower_id = ANY(%(borrower_ids)s) AND e.state = 'sending' AND e.wired_at IS NOT NULL
   AND EXISTS (SELECT FROM claim c
                WHERE c.owner = e.owner AND c.settled_at IS NULL
                  AND e.envelope_id = ANY(c.envelope_ids));

-- let_cross
-- Wait until the chunk has crossed, and keep nobody waiting for us: the lock is given back at once.
SELECT pg_advisory_lock_shared(%(lock_class)s, %(owner)s::int),
       pg_advisory_unlock_shared(%(lock_class)s, %(owner)s::int);

-- wait_so_long
-- For a lock, until the transaction ends.
SELECT set_config('lock_timeout', %(ms)s, true);

-- settle
-- What the gateway answered to one attempt. An envelope that a receipt has already carried further
-- stays there; one that another worker took for lost is corrected, unless it was sent again since.
-- What never left goes back only from the hands of whoever says so.
UPDATE envelope
   SET state = %(state)s, reason = %(reason)s, changed_at = %(now)s, owner = NULL,
       not_before = COALESCE(%(not_before)s::timestamptz, envelope.not_before),
       attempt = envelope.attempt - CASE WHEN %(is_counted)s THEN 0 ELSE 1 END,
       wired_at = CASE WHEN %(state)s = 'ready' THEN NULL ELSE envelope.wired_at END
  FROM unnest(%(envelope_ids)s::bigint[], %(attempts)s::int[]) AS said (envelope_id, attempt)
 WHERE envelope.envelope_id = said.envelope_id
   AND envelope.state IN ('sending', 'unknown') AND envelope.state <> %(state)s
   AND (envelope.attempt = said.attempt OR %(state)s = 'accepted')
   AND (%(is_counted)s OR envelope.state = 'unknown' OR envelope.owner = %(owner)s);

-- bury
-- A provider said that nothing can be received there any more. A number says so of itself.
WITH dead AS (
    SELECT DISTINCT e.borrower_id, e.channel, d.token
      FROM unnest(%(envelope_ids)s::bigint[], %(tokens)s::text[]) AS d (envelope_id, token)
      JOIN envelope e USING (envelope_id)
), numbers AS (
    UPDATE person SET number_state = 'dead'
      FROM dead
     WHERE dead.channel = 'sms' AND person.borrower_id = dead.borrower_id
       AND person.number_token = dead.token
)
INSERT INTO dead_address (borrower_id, channel, token, at)
SELECT borrower_id, channel, token, %(now)s FROM dead WHERE channel <> 'sms'
ON CONFLICT (borrower_id, channel) DO UPDATE SET token = excluded.token, at = excluded.at;

-- drop_adopted
-- The answer names the parts: what receipts alone had proved of them gives way to it.
DELETE FROM submission WHERE part = 0 AND envelope_id = ANY(%(envelope_ids)s::bigint[]);

-- add_new_submissions
-- The usual answer: none of it is on record yet. To ask for each, as below, costs as much again.
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT s.envelope_id, %(route)s, s.provider_id, s.part, %(now)s
  FROM unnest(%(envelope_ids)s::bigint[], %(provider_ids)s::text[], %(parts)s::smallint[])
       AS s (envelope_id, provider_id, part)
 ORDER BY s.provider_id;

-- add_submissions
-- A receipt may have proved a submission before its answer was stored; the answer knows the part.
-- In one order, so that nobody who adds what is added here waits in a ring.
INSERT INTO submission (envelope_id, route, provider_id, part, accepted_at)
SELECT s.envelope_id, %(route)s, s.provider_id, s.part, %(now)s
  FROM unnest(%(envelope_ids)s::bigint[], %(provider_ids)s::text[], %(parts)s::smallint[])
       AS s (envelope_id, provider_id, part)
 ORDER BY s.provider_id
ON CONFLICT (route, provider_id) DO UPDATE SET part = excluded.part
 WHERE submission.part = 0 AND submission.envelope_id = excluded.envelope_id;

-- put_back
-- Due, then forbidden, deferred or held by the wire's gate.
UPDATE envelope
   SET state = said.state, reason = said.reason, changed_at = %(now)s,
       not_before = COALESCE(said.not_before, envelope.not_before)
  FROM unnest(%(envelope_ids)s::bigint[], %(states)s::text[], %(reasons)s::text[],
              %(not_before)s::timestamptz[]) AS said (envelope_id, state, reason, not_before)
 WHERE envelope.envelope_id = said.envelope_id AND envelope.state = 'ready';

-- refusals
-- Who wants nothing more on this channel, where nothing is received any more, and who has no grant left
-- (none of what is asked about is on the wire yet).
SELECT o.borrower_id, o.channel, 'opted_out' AS what
  FROM opt_out o
 WHERE o.borrower_id = ANY(%(borrower_ids)s) AND o.channel = ANY(%(channels)s) AND o.is_active
 UNION ALL
SELECT d.borrower_id, d.channel, 'dead'
  FROM dead_address d
 WHERE d.borrower_id = ANY(%(borrower_ids)s) AND d.channel = ANY(%(channels)s)
 UNION ALL
SELECT w.borrower_id, 'wechat', 'no_grant'
  FROM unnest(%(borrower_ids)s::text[]) AS w (borrower_id)
 WHERE 'wechat' = ANY(%(channels)s) AND wechat_grants_left(w.borrower_id) <= 0;

-- paid_since
-- What was paid on these loans that the facts of their envelopes do not know of yet.
SELECT due.envelope_id,
       sum(CASE WHEN y.kind IN ('reversal', 'chargeback') THEN -y.amount_minor
                ELSE y.amount_minor END)::bigint AS paid_minor
  FROM unnest(%(envelope_ids)s::bigint[], %(loan_ids)s::text[], %(known_ats)s::timestamptz[])
       AS due (envelope_id, loan_id, known_at)
  JOIN payment_event y ON y.loan_id = due.loan_id AND y.known_at > due.known_at
 GROUP BY due.envelope_id;

-- contact_log
-- Every contact with these borrowers, on whatever channel and whoever made it: envelopes that reached
-- the wire or are claimed for it by another worker at this moment, and contacts made elsewhere. What
-- is in flight counts as made now, and so does what another worker's clock says is still ahead of us:
-- caps never count what lies after `now`, and two clocks never quite agree.
SELECT borrower_id, LEAST(wired_at, %(now)s::timestamptz) AS at, channel, 'out' AS dir,
       NULL::text AS outcome, stage, 'own' AS actor, number_token AS number, loan_id AS debt,
       ARRAY[]::text[] AS flags
  FROM envelope
 WHERE borrower_id = ANY(%(borrower_ids)s)
   AND (wired_at > %(since)s OR (state = 'sending' AND wired_at IS NULL))
   AND NOT envelope_id = ANY(%(except_ids)s)
 UNION ALL
SELECT borrower_id, LEAST(at, %(now)s::timestamptz), channel, dir, outcome, stage, actor,
       number_token, loan_id, flags
  FROM contact
 WHERE borrower_id = ANY(%(borrower_ids)s) AND at > %(since)s AND outcome IS DISTINCT FROM 'granted';

-- open_cases
-- A blackout is a case of everybody in its region, and of everybody whose region is not known.
SELECT borrower_id, kind
  FROM case_file
 WHERE borrower_id = ANY(%(borrower_ids)s) AND closed_at IS NULL
 UNION ALL
SELECT p.borrower_id, 'blackout'
  FROM person p
 WHERE p.borrower_id = ANY(%(borrower_ids)s)
   AND EXISTS (SELECT 1 FROM blackout  -- mostly there is none, and nobody is looked up
                WHERE from_at <= %(now)s AND until_at > %(now)s AND lifted_at IS NULL)
   AND EXISTS (SELECT 1 FROM blackout b
                WHERE b.from_at <= %(now)s AND b.until_at > %(now)s AND b.lifted_at IS NULL
                  AND (p.region IS NULL OR starts_with(p.region, b.region)));

-- feed_complete_until
SELECT complete_until FROM feed WHERE name = 'payments';

-- next_due
-- When the next ready envelope may go by this route, for how many that is, and how many wait of the
-- kind. While the route is paused none may.
SELECT min(not_before) FILTER (WHERE is_ours) AS next_due, count(*) FILTER (WHERE is_ours) AS waiting,
       count(*) AS of_kind
  FROM waiting,
       LATERAL (SELECT %(slots)s::int4multirange @> mod(envelope_id * 621, 1000)::int AS is_ours) AS o
 WHERE state = 'ready' AND channel = ANY(%(channels)s) AND valid_until > %(now)s
   AND NOT EXISTS (SELECT 1 FROM route WHERE name = %(route)s AND paused_at IS NOT NULL);

-- in_doubt_without_receipt
-- In doubt for so long that its receipt should have come: may be sent again where the operator said
-- that this gateway sends a receipt, with our reference, for all it accepted.
UPDATE envelope
   SET state = 'ready', reason = 'no_receipt_within_horizon', changed_at = %(now)s,
       wired_at = NULL
  FROM waiting w
 WHERE w.state = 'unknown' AND w.valid_until > %(now)s AND w.channel = ANY(%(channels)s)
   AND envelope.envelope_id = w.envelope_id AND envelope.state = 'unknown'
   AND changed_at <= %(until)s AND route = %(route)s
   AND NOT EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = envelope.envelope_id);

-- doubts
-- Envelopes whose doubt may end one day, and the oldest of them.
SELECT count(*) AS doubts, min(changed_at) AS oldest_at
  FROM waiting w JOIN envelope e USING (envelope_id)
 WHERE w.state = 'unknown' AND w.valid_until > %(now)s AND w.channel = ANY(%(channels)s)
   AND e.route = %(route)s
   AND NOT EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = e.envelope_id);

-- accepted_without_receipt
-- Of claims that were settled so long ago; what was accepted later is of a later look.
UPDATE envelope
   SET state = 'unknown', reason = 'no_receipt_within_horizon', changed_at = %(now)s
  FROM (SELECT unnest(envelope_ids) AS envelope_id FROM claim WHERE settled_at <= %(until)s) AS old
 WHERE envelope.envelope_id = old.envelope_id
   AND state = 'accepted' AND changed_at <= %(until)s;

-- drop_claims
-- None of these awaits a receipt any more, or does so for an answer that came later.
DELETE FROM claim
 WHERE settled_at <= %(until)s
   AND NOT EXISTS (SELECT 1 FROM unnest(envelope_ids) AS c (envelope_id)
                     JOIN envelope e USING (envelope_id)
                    WHERE e.state = 'accepted');

-- awaits_receipts
-- Whether something is on its way whose receipt may still come within its validity. The latest claim
-- is asked first: what was sent last is told of last.
SELECT EXISTS (SELECT 1 FROM waiting
                WHERE state = 'unknown' AND valid_until > %(now)s AND channel = ANY(%(channels)s))
    OR EXISTS (SELECT 1
                 FROM (SELECT envelope_ids FROM claim WHERE is_awaited ORDER BY claim_id DESC) AS c,
                      unnest(c.envelope_ids) AS each (envelope_id),
                      LATERAL (SELECT 1 FROM envelope e
                                WHERE e.envelope_id = each.envelope_id AND e.state = 'accepted'
                                  AND e.valid_until > %(now)s AND e.channel = ANY(%(channels)s)
                                LIMIT 1) AS found) AS awaits;

-- await_no_more
-- Settled claims of which no receipt can come within its validity any more: nobody asks again.
UPDATE claim SET is_awaited = false
  FROM (SELECT claim_id FROM claim AS c
         WHERE is_awaited AND settled_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM unnest(c.envelope_ids) AS each (envelope_id)
                             JOIN envelope e USING (envelope_id)
                            WHERE e.state IN ('sending', 'accepted', 'unknown')
                              AND e.valid_until > %(now)s)
         ORDER BY claim_id FOR UPDATE SKIP LOCKED) AS ended
 WHERE claim.claim_id = ended.claim_id;
