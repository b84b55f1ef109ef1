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

-- blocked_by_rule
-- Which rules blocked how many envelopes; one may break several. Where no rule spoke, the reason.
SELECT COALESCE(rule, e.reason) AS rule, count(DISTINCT e.envelope_id) AS envelopes
  FROM envelope e
  LEFT JOIN verdict_row v ON v.envelope_id = e.envelope_id AND v.outcome = 'block'
  LEFT JOIN LATERAL unnest(v.rules) AS rule ON TRUE
 WHERE e.state = 'blocked' GROUP BY 1 ORDER BY envelopes DESC, rule;

-- given_up
-- Envelopes that were allowed and then not wanted any more, or not in time.
SELECT reason, count(*) AS envelopes FROM envelope WHERE state IN ('cancelled', 'lapsed')
 GROUP BY reason ORDER BY envelopes DESC, reason;

-- holds
-- How often envelopes were held, and why.
SELECT reason, count(*) AS holds FROM envelope_change WHERE new_state = 'held'
 GROUP BY reason ORDER BY holds DESC, reason;

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
-- Borrowers whose story is worth telling, by kind: the fullest first, some of each.
WITH told AS (
    SELECT borrower_id, count(*) FILTER (WHERE state = 'delivered') AS delivered,
           max(wired_at) AS last_sent, min(loan_id) AS loan_id,
           count(DISTINCT loan_id) AS loans, max(amount_minor) AS asked_minor
      FROM envelope WHERE wired_at IS NOT NULL GROUP BY borrower_id
), paid AS (
    SELECT DISTINCT ON (loan_id) loan_id, paid_at AS last_paid, amount_minor
      FROM payment_event WHERE kind = 'payment' ORDER BY loan_id, paid_at DESC
), story AS (
    SELECT 'reminded_then_paid' AS kind, borrower_id, delivered AS moments
      FROM told JOIN paid USING (loan_id)
     WHERE delivered > 0 AND loans = 1 AND last_paid > last_sent AND amount_minor >= asked_minor
       AND NOT EXISTS (SELECT 1 FROM reply r WHERE r.borrower_id = told.borrower_id)
    UNION ALL
    SELECT 'paid_in_time', e.borrower_id, count(*) + COALESCE(max(t.delivered), 0)
      FROM envelope e LEFT JOIN told t USING (borrower_id)
     WHERE e.state = 'cancelled' AND e.reason LIKE 'after_payment%%' GROUP BY e.borrower_id
    UNION ALL
    -- Twice the weight where a notice was stopped after the answer: that is the point of it.
    SELECT 'asked_for_help', r.borrower_id, 1 + 2 * count(c.change_id)
      FROM reply r
      LEFT JOIN (envelope e JOIN envelope_change c ON c.envelope_id = e.envelope_id
                 AND c.new_state IN ('held', 'blocked'))
             ON e.borrower_id = r.borrower_id AND c.at >= r.at
     WHERE r.intent IN ('hardship', 'dispute') AND r.borrower_id IS NOT NULL
     GROUP BY r.borrower_id
    UNION ALL
    SELECT 'opted_out', r.borrower_id, max(t.delivered)
      FROM reply r JOIN told t USING (borrower_id)
     WHERE r.intent = 'opt_out' AND t.last_sent < r.at GROUP BY r.borrower_id
    UNION ALL
    SELECT 'reminded', borrower_id, delivered FROM told WHERE delivered > 0
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY moments DESC, borrower_id) AS place
      FROM story
)
SELECT kind, borrower_id FROM placed WHERE place <= %(each)s ORDER BY kind, place;

-- sent_by_step
SELECT step, count(*) FILTER (WHERE wired_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE state = 'delivered') AS delivered
  FROM envelope GROUP BY step;

-- journey
-- All that happened with a borrower, in order of time: messages, answers, payments.
SELECT at, kind, step, arm, reason, action, text_sealed, number_token, amount_minor, currency
  FROM (SELECT c.at, c.new_state AS kind, e.step, e.arm, c.reason, NULL AS action,
               CASE WHEN c.new_state = 'accepted' THEN e.text_sealed END AS text_sealed,
               NULL AS number_token, NULL::bigint AS amount_minor, NULL AS currency,
               c.change_id AS place
          FROM envelope_change c JOIN envelope e USING (envelope_id)
         WHERE e.borrower_id = %(borrower_id)s
           AND c.new_state NOT IN ('ready', 'sending')
        UNION ALL
        -- Accepted, and its receipts were there before its envelope was told so.
        SELECT e.wired_at, 'accepted', e.step, e.arm, 'accepted_by_gateway', NULL, e.text_sealed,
               NULL, NULL, NULL, 0
          FROM envelope e
         WHERE e.borrower_id = %(borrower_id)s AND e.wired_at IS NOT NULL
           AND EXISTS (SELECT 1 FROM submission s WHERE s.envelope_id = e.envelope_id)
           AND NOT EXISTS (SELECT 1 FROM envelope_change c
                            WHERE c.envelope_id = e.envelope_id AND c.new_state = 'accepted')
        UNION ALL
        SELECT at, 'reply', NULL, NULL, intent, action, text_sealed, number_token, NULL, NULL,
               reply_id
          FROM reply WHERE borrower_id = %(borrower_id)s
        UNION ALL
        SELECT paid_at, kind, NULL, NULL, '', NULL, NULL, NULL, amount_minor, currency, 0
          FROM payment_event WHERE borrower_id = %(borrower_id)s) AS m
 ORDER BY at, place;
