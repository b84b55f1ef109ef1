-- addresses
-- One row a channel on which a borrower can be reached. Beside the number an address has no token of
-- its own: it stands for its borrower. WeChat reaches nobody whose one-time grants are used up.
SELECT p.borrower_id, a.channel, a.number_token,
       CASE WHEN a.channel = 'sms' THEN p.number_state
            WHEN d.borrower_id IS NULL THEN 'valid' ELSE 'dead' END AS number_state,
       'debtor' AS role, p.is_wrong_party,
       EXISTS (SELECT 1 FROM opt_out o
                WHERE o.borrower_id = p.borrower_id AND o.channel = a.channel AND o.is_active),
       p.timezone
  FROM person p
 CROSS JOIN LATERAL (
       VALUES ('sms', p.number_token),
              ('push', CASE WHEN p.push_token_sealed IS NOT NULL THEN 'push/' || p.borrower_id END),
              ('wechat', CASE WHEN p.wechat_openid_sealed IS NOT NULL
                              THEN 'wechat/' || p.borrower_id END),
              ('email', CASE WHEN p.email_sealed IS NOT NULL THEN 'email/' || p.borrower_id END))
       AS a (channel, number_token)
  LEFT JOIN dead_address d ON d.borrower_id = p.borrower_id AND d.channel = a.channel
 WHERE p.borrower_id = ANY(%(borrower_ids)s) AND a.number_token IS NOT NULL
   AND NOT (a.channel = 'wechat' AND COALESCE(wechat_grants_left(p.borrower_id) <= 0, false))
 ORDER BY p.borrower_id, a.channel;

-- payments
SELECT payment_id, loan_id, borrower_id, paid_at, amount_minor, kind, reverses, source
  FROM payment_event
 WHERE borrower_id = ANY(%(borrower_ids)s)
   AND (%(known_at)s::timestamptz IS NULL OR known_at <= %(known_at)s::timestamptz)
 ORDER BY payment_id;

-- sent_steps
-- What cascades and sticky steps remember: each message that went or still goes, by its step, and
-- what came of it. The link of a cascade stands in the key, behind the step.
SELECT e.borrower_id, e.step, e.due_date,
       COALESCE(substring(e.key FROM '\+([0-9]+)\|[^|]*$')::int, 0) AS link, e.channel,
       COALESCE(e.wired_at, e.not_before) AS at, e.state,
       (SELECT min(c.at) FROM contact c
         WHERE c.borrower_id = e.borrower_id AND c.outcome = 'seen' AND c.channel = e.channel
           AND c.at >= e.wired_at AND c.at <= %(now)s::timestamptz),
       LEAST((SELECT min(c.at) FROM contact c
               WHERE c.borrower_id = e.borrower_id AND c.dir = 'in'
                 AND COALESCE(c.outcome, '') NOT IN ('seen', 'granted')
                 AND c.at >= e.wired_at AND c.at <= %(now)s::timestamptz),
             (SELECT min(y.at) FROM reply y
               WHERE y.borrower_id = e.borrower_id AND y.at >= e.wired_at
                 AND y.at <= %(now)s::timestamptz)),
       r.strategy_hash
  FROM envelope e JOIN plan_run r USING (plan_id)
 WHERE e.borrower_id = ANY(%(borrower_ids)s) AND e.as_of >= %(since)s::date
   AND e.state IN ('ready', 'sending', 'accepted', 'delivered', 'failed', 'expired', 'unknown',
                   'lapsed')
 ORDER BY e.envelope_id;

-- paid_since
-- What became known after a plan was made: the release judges on it.
SELECT loan_id, sum(CASE WHEN kind IN ('reversal', 'chargeback') THEN -amount_minor ELSE amount_minor END)::bigint
  FROM payment_event
 WHERE loan_id = ANY(%(loan_ids)s) AND known_at > %(since)s
 GROUP BY loan_id;

-- add_accounts
INSERT INTO account (loan_id, borrower_id, currency)
SELECT loan_id, borrower_id, currency FROM account_in
ON CONFLICT (loan_id) DO UPDATE
   SET borrower_id = excluded.borrower_id, currency = excluded.currency;

-- accounts
SELECT loan_id, borrower_id, currency FROM account WHERE loan_id = ANY(%(loan_ids)s);

-- held_for_replan
-- Held because of news about their borrower, with what is needed to plan them again.
SELECT envelope_id, key, borrower_id, arm, as_of, amount_minor, reason
  FROM waiting w JOIN envelope e USING (envelope_id)
 WHERE w.state = 'held' AND reason = ANY(%(reasons)s) AND w.valid_until > %(now)s
   AND (%(borrower_ids)s::text[] IS NULL OR borrower_id = ANY(%(borrower_ids)s::text[]))
 ORDER BY envelope_id
 LIMIT %(limit)s;

-- lock_held
-- All that is renewed or dropped at once, in the order in which senders and payments lock envelopes, so
-- that nobody waits for another in a ring.
SELECT envelope_id FROM envelope
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[]) ORDER BY envelope_id FOR UPDATE;

-- renew
-- The same intent on new facts: only what is still held is renewed.
UPDATE envelope
   SET state = 'ready', reason = 're_planned', changed_at = %(now)s,
       amount_minor = r.amount_minor, due_date = r.due_date, facts = r.facts::jsonb,
       text_sealed = r.text_sealed, parts = r.parts, stage = r.stage, template = r.template,
       template_hash = r.template_hash, loan_id = r.loan_id, plan_id = r.plan_id,
       not_before = r.not_before, valid_until = r.valid_until
  FROM unnest(%(envelope_ids)s::bigint[], %(amounts)s::bigint[], %(due_dates)s::date[],
              %(facts)s::text[], %(texts)s::bytea[], %(parts)s::smallint[], %(stages)s::text[],
              %(templates)s::text[], %(template_hashes)s::text[], %(loan_ids)s::text[],
              %(plan_ids)s::text[], %(not_before)s::timestamptz[], %(valid_until)s::timestamptz[])
       AS r (envelope_id, amount_minor, due_date, facts, text_sealed, parts, stage, template,
             template_hash, loan_id, plan_id, not_before, valid_until)
 WHERE envelope.envelope_id = r.envelope_id AND envelope.state = 'held';

-- drop_held
-- Planned again and no longer wanted, or no longer allowed.
UPDATE envelope
   SET state = c.state, reason = c.reason, changed_at = %(now)s
  FROM unnest(%(envelope_ids)s::bigint[], %(states)s::text[], %(reasons)s::text[])
       AS c (envelope_id, state, reason)
 WHERE envelope.envelope_id = c.envelope_id AND envelope.state = 'held';

-- known_elsewhere
SELECT count(*) FROM envelope WHERE key = ANY(%(keys)s) AND plan_id <> %(plan_id)s;

-- add_plan
INSERT INTO plan_run (plan_id, as_of, planned_at, released_at, strategy, strategy_hash,
                      rulebook_hash, template_hash, borrowers, proposals, held_out)
VALUES (%(plan_id)s, %(as_of)s, %(planned_at)s, %(released_at)s, %(strategy)s, %(strategy_hash)s,
        %(rulebook_hash)s, %(template_hash)s, %(borrowers)s, %(proposals)s, %(held_out)s)
ON CONFLICT (plan_id) DO NOTHING;

-- add_envelopes
-- Intent before the wire. A key already known is the same intent: nothing is added.
INSERT INTO envelope (key, plan_id, as_of, borrower_id, loan_id, step, arm, propensity, stage,
                      channel, template, template_hash, amount_minor, currency, due_date, facts,
                      text_sealed, parts, sender_id, number_token, not_before, valid_until, lane, state,
                      reason, changed_at, attempt, created_at)
SELECT key, plan_id, as_of, borrower_id, loan_id, step, arm, propensity, stage, channel, template,
       template_hash, amount_minor, currency, due_date, facts::jsonb, text_sealed, parts,
       sender_id, number_token, not_before, valid_until, lane, state, reason, %(now)s, 0, %(now)s
  FROM envelope_in
 ORDER BY not_before, key
ON CONFLICT (key) DO NOTHING
RETURNING envelope_id, key;

-- days_with_notices
SELECT DISTINCT as_of FROM envelope
 WHERE (%(since)s::date IS NULL OR as_of >= %(since)s::date)
   AND (%(until)s::date IS NULL OR as_of < %(until)s::date)
   AND (%(loan_id)s::text IS NULL OR loan_id = %(loan_id)s::text)
 ORDER BY as_of;

-- notices_of_day
-- What was said by notices that left, or that are about to: these leave no earlier than now.
SELECT envelope_id, borrower_id, loan_id, as_of, (facts->>'known_at')::timestamptz AS judged_at,
       COALESCE(wired_at, %(now)s) AS cut_at, state, currency, amount_minor,
       (facts->>'days_past_due')::int AS days_past_due, facts->>'bucket' AS bucket, due_date
  FROM envelope
 WHERE as_of = %(as_of)s AND (wired_at IS NOT NULL OR state IN ('ready', 'sending'))
   AND (%(loan_id)s::text IS NULL OR loan_id = %(loan_id)s::text)
 ORDER BY envelope_id;

-- payment_news
-- What was heard of these loans, with the instant it became known.
SELECT p.payment_id, p.loan_id, p.paid_at, p.known_at, p.amount_minor, p.kind, p.reverses
  FROM payment_event p
 WHERE p.loan_id = ANY(%(loan_ids)s) AND p.known_at <= %(now)s
 ORDER BY p.payment_id;
