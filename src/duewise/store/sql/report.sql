-- delivered
-- What reached a handset in the days before an instant.
SELECT e.borrower_id, e.loan_id, r.at, e.stage, e.template
  FROM envelope e
  JOIN (SELECT envelope_id, max(at) AS at FROM receipt WHERE status = 'delivered' GROUP BY 1) r
       USING (envelope_id)
 WHERE e.state = 'delivered' AND r.at < %(before)s AND r.at >= %(before)s - %(days)s
 ORDER BY e.borrower_id, r.at, e.envelope_id;

-- states
SELECT state, count(*) AS envelopes FROM envelope GROUP BY state;

-- planned
-- Proposals of the released plans: what the envelopes must add up to.
SELECT COALESCE(sum(proposals), 0)::bigint AS planned, COALESCE(sum(held_out), 0)::bigint AS held_out,
       COALESCE(sum(borrowers), 0)::bigint AS considered, min(as_of) AS first_day,
       max(as_of) AS last_day
  FROM plan_run;

-- submitted
-- Envelopes that reached the wire, counted from their own mark, not from their state.
SELECT count(*) AS submitted FROM envelope WHERE wired_at IS NOT NULL;

-- stopped_by_rule
-- Which rules kept messages from going, by the last verdict on each envelope.
SELECT rule, count(DISTINCT envelope_id) AS envelopes
  FROM verdict v JOIN envelope e USING (envelope_id), unnest(v.rules) AS rule
 WHERE v.outcome <> 'allow' AND e.state IN ('blocked', 'held', 'lapsed')
 GROUP BY rule ORDER BY envelopes DESC, rule;

-- steps
SELECT step, stage, state, count(*) AS envelopes, sum(parts) AS parts
  FROM envelope GROUP BY step, stage, state ORDER BY step, state;

-- holds
-- How often an envelope was held, and what became of the held.
SELECT c.reason, count(*) AS holds,
       count(*) FILTER (WHERE e.state = 'cancelled') AS cancelled
  FROM envelope_change c JOIN envelope e USING (envelope_id)
 WHERE c.new_state = 'held' GROUP BY c.reason ORDER BY holds DESC;

-- by_day
SELECT as_of AS day, count(*) AS planned, count(*) FILTER (WHERE wired_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE state = 'delivered') AS delivered
  FROM envelope GROUP BY as_of ORDER BY as_of;

-- payments_by_day
SELECT (paid_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS payments
  FROM payment_event GROUP BY 1 ORDER BY 1;

-- by_hour
SELECT extract(hour FROM wired_at AT TIME ZONE %(zone)s)::int AS hour, count(*) AS sent
  FROM envelope WHERE wired_at IS NOT NULL GROUP BY 1 ORDER BY 1;

-- replies
SELECT intent, count(*) AS replies FROM reply GROUP BY intent ORDER BY replies DESC, intent;

-- opt_outs
SELECT count(*) AS opt_outs FROM opt_out WHERE is_active;

-- parts_submitted
-- Parts the gateway accepted: what is paid for.
SELECT count(*) AS parts FROM submission;

-- journey_candidates
-- Borrowers whose story is worth telling: one of each kind, the busiest first.
SELECT kind, borrower_id
  FROM (SELECT kind, borrower_id, row_number() OVER (PARTITION BY kind
               ORDER BY stories DESC, borrower_id) AS place
          FROM (SELECT 'paid_in_time' AS kind, borrower_id, count(*) AS stories
                  FROM envelope WHERE state = 'cancelled' AND reason LIKE 'after_payment%%'
                 GROUP BY borrower_id
                UNION ALL
                SELECT 'asked_for_help', borrower_id, count(*) FROM reply
                 WHERE intent IN ('hardship', 'dispute') AND borrower_id IS NOT NULL
                 GROUP BY borrower_id
                UNION ALL
                SELECT 'reminded', borrower_id, count(*) FROM envelope
                 WHERE state = 'delivered' GROUP BY borrower_id
                UNION ALL
                SELECT 'opted_out', borrower_id, count(*) FROM reply
                 WHERE intent = 'opt_out' AND borrower_id IS NOT NULL GROUP BY borrower_id) AS k) AS r
 WHERE place = 1 ORDER BY kind;

-- sent_by_step
SELECT step, count(*) FILTER (WHERE wired_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE state = 'delivered') AS delivered
  FROM envelope GROUP BY step;

-- journey
-- All that happened with a borrower, in order of time: messages, answers, payments.
SELECT at, kind, text_sealed, number_token, amount_minor, detail
  FROM (SELECT c.at,
               CASE c.new_state WHEN 'accepted' THEN 'sent' WHEN 'delivered' THEN 'delivered'
                    WHEN 'failed' THEN 'failed' WHEN 'expired' THEN 'failed'
                    WHEN 'held' THEN 'held' WHEN 'blocked' THEN 'blocked'
                    WHEN 'cancelled' THEN 'cancelled' ELSE 'silence' END AS kind,
               CASE WHEN c.new_state IN ('accepted', 'blocked') THEN e.text_sealed END
                   AS text_sealed,
               NULL AS number_token, NULL::bigint AS amount_minor,
               e.step || ': ' || c.reason AS detail, c.change_id AS place
          FROM envelope_change c JOIN envelope e USING (envelope_id)
         WHERE e.borrower_id = %(borrower_id)s
           AND c.new_state IN ('accepted', 'delivered', 'failed', 'expired', 'held', 'blocked',
                               'cancelled', 'lapsed', 'unknown')
        UNION ALL
        SELECT at, 'reply', text_sealed, number_token, NULL, intent || ': ' || action, reply_id
          FROM reply WHERE borrower_id = %(borrower_id)s
        UNION ALL
        SELECT paid_at, 'payment', NULL, NULL, amount_minor, kind, 0
          FROM payment_event WHERE borrower_id = %(borrower_id)s) AS m
 ORDER BY at, place;
