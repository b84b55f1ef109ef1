-- add
-- Take a promise down, once by its ref. It replaces what the same borrower had promised of the same
-- loan for a day that is not over. Of a reply it is of the loan that was written about last.
WITH known AS (
    SELECT EXISTS (SELECT 1 FROM promise WHERE ref = %(ref)s) AS twice,
           CASE WHEN %(of_last_notice)s
                THEN (SELECT e.loan_id FROM envelope e
                       WHERE e.borrower_id = %(borrower_id)s AND e.wired_at IS NOT NULL
                       ORDER BY e.wired_at DESC, e.envelope_id DESC LIMIT 1)
                ELSE %(loan_id)s::text END AS loan_id
), replaced AS (
    UPDATE promise SET cancelled_at = %(now)s, cancel_reason = 'replaced'
      FROM known
     WHERE promise.borrower_id = %(borrower_id)s AND cancelled_at IS NULL AND NOT known.twice
       AND day >= %(today)s AND promise.loan_id IS NOT DISTINCT FROM known.loan_id
)
INSERT INTO promise (ref, borrower_id, loan_id, made_at, known_at, day, amount_minor, currency,
                     source, reply_id)
SELECT %(ref)s, %(borrower_id)s, known.loan_id, %(made_at)s, %(now)s, %(day)s, %(amount_minor)s,
       %(currency)s, %(source)s, %(reply_id)s
  FROM known
ON CONFLICT (ref) DO NOTHING
RETURNING promise_id;

-- withdraw
UPDATE promise SET cancelled_at = %(now)s, cancel_reason = 'withdrawn'
 WHERE promise_id = %(promise_id)s AND cancelled_at IS NULL
RETURNING borrower_id;

-- of_borrowers
-- What was known of promises at an instant, but for those whose day is long over.
SELECT promise_id, borrower_id, loan_id, made_at, day, amount_minor,
       CASE WHEN cancelled_at <= %(now)s::timestamptz THEN cancelled_at END,
       CASE WHEN cancelled_at <= %(now)s::timestamptz THEN cancel_reason END
  FROM promise
 WHERE borrower_id = ANY(%(borrower_ids)s) AND known_at <= %(now)s::timestamptz
   AND day >= %(since)s::date
 ORDER BY promise_id;

-- promising
-- Whoever has promised something that may still matter.
SELECT DISTINCT borrower_id FROM promise
 WHERE day >= %(since)s::date AND (%(borrower_id)s::text IS NULL OR borrower_id = %(borrower_id)s::text)
 ORDER BY borrower_id;

-- to_answer
-- Replies that wait for a person, the oldest first.
SELECT reply_id, at, borrower_id, intent, action, route, number_token, text_sealed
  FROM reply
 WHERE action IN ('answer', 'hand_to_person') AND done_at IS NULL
 ORDER BY at, reply_id
 LIMIT %(limit)s;

-- answered
UPDATE reply SET done_at = %(now)s, done_by = %(by)s
 WHERE reply_id = %(reply_id)s AND done_at IS NULL
RETURNING reply_id;
