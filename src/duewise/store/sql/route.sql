-- pause
-- Nothing more is claimed for this route until it is resumed; an operator's first reason stays.
INSERT INTO route (name, paused_at, reason) VALUES (%(name)s, %(now)s, %(reason)s)
ON CONFLICT (name) DO UPDATE
   SET paused_at = excluded.paused_at, reason = excluded.reason, resume_at = NULL, probes = 0
 WHERE route.paused_at IS NULL OR route.resume_at IS NOT NULL
RETURNING name;

-- leave_alone
-- As a pause, but by ourselves: it ends by itself once a message is taken.
INSERT INTO route (name, paused_at, reason, resume_at)
VALUES (%(name)s, %(now)s, %(reason)s, %(resume_at)s)
ON CONFLICT (name) DO UPDATE
   SET paused_at = excluded.paused_at, reason = excluded.reason, resume_at = excluded.resume_at,
       probes = 0
 WHERE route.paused_at IS NULL
RETURNING name;

-- out
-- Which of these routes nothing leaves by now.
SELECT name, reason, resume_at <= %(now)s AS is_half_open
  FROM route WHERE name = ANY(%(names)s) AND paused_at IS NOT NULL;

-- take_probe
-- One worker of all may try with one message; each try that fails makes the next one later.
UPDATE route
   SET resume_at = %(now)s::timestamptz
                 + least(%(first_s)s * 2.0 ^ least(probes, 20), %(most_s)s) * interval '1 s',
       probes = probes + 1
 WHERE name = %(name)s AND paused_at IS NOT NULL AND resume_at <= %(now)s
   AND EXISTS (SELECT 1 FROM waiting
                WHERE state = 'ready' AND channel = %(channel)s
                  AND not_before <= %(now)s AND valid_until > %(now)s)
RETURNING name;

-- end_probing
UPDATE route SET paused_at = NULL, reason = '', resume_at = NULL, probes = 0
 WHERE name = %(name)s AND resume_at IS NOT NULL
RETURNING name;

-- records
-- What became of each route's messages of some days, up to one that is over: the same all day long.
SELECT route AS name, count(*) FILTER (WHERE state IN ('delivered', 'failed', 'expired')) AS ended,
       count(*) FILTER (WHERE state = 'delivered') AS delivered, avg(parts)::float8 AS parts_each,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM changed_at - wired_at)::float8)
           FILTER (WHERE state = 'delivered') AS latency_s
  FROM envelope
 WHERE as_of >= %(since)s AND as_of < %(until)s AND wired_at IS NOT NULL AND route IS NOT NULL
 GROUP BY route;

-- resume
UPDATE route SET paused_at = NULL, reason = '', resume_at = NULL, probes = 0
 WHERE name = %(name)s AND paused_at IS NOT NULL
RETURNING name;

-- paused
SELECT name, resume_at FROM route WHERE paused_at IS NOT NULL ORDER BY name;

-- lease_slots
-- A route's rate is one for all workers: whoever wants slots takes the next free ones, in the
-- database's own time, the only clock they share, and is told how long to wait for them.
INSERT INTO route (name, reason, free_at)
VALUES (%(name)s, '', clock_timestamp() + %(seconds)s * interval '1 s')
ON CONFLICT (name) DO UPDATE
   SET free_at = greatest(route.free_at, clock_timestamp()) + %(seconds)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(seconds)s AS wait_s;

-- routes
-- Each route that was ever used or paused, with what is on its way there at this moment.
SELECT COALESCE(r.name, e.route) AS name, r.paused_at, COALESCE(r.reason, '') AS reason, r.resume_at,
       COALESCE(e.sending, 0) AS sending, COALESCE(e.accepted, 0) AS accepted,
       COALESCE(e.unknown, 0) AS unknown
  FROM route r
  FULL JOIN (SELECT route, count(*) FILTER (WHERE state = 'sending') AS sending,
                    count(*) FILTER (WHERE state = 'accepted') AS accepted,
                    count(*) FILTER (WHERE state = 'unknown') AS unknown
               FROM envelope
              WHERE state IN ('sending', 'accepted', 'unknown') AND route IS NOT NULL
                AND envelope_id IN (SELECT unnest(envelope_ids) FROM claim
                                     UNION ALL
                                    SELECT envelope_id FROM waiting WHERE state = 'unknown')
              GROUP BY route) e ON e.route = r.name
 ORDER BY 1;

-- queue
-- What waits, and what somebody has claimed and not written yet.
SELECT count(*) FILTER (WHERE state = 'ready' AND not_before <= %(now)s) AS due,
       count(*) FILTER (WHERE state = 'ready' AND not_before > %(now)s) AS later,
       count(*) FILTER (WHERE state = 'held') AS held,
       (SELECT count(*)
          FROM (SELECT unnest(envelope_ids) AS envelope_id FROM claim WHERE settled_at IS NULL) AS c
          JOIN envelope USING (envelope_id)
         WHERE state = 'sending' AND wired_at IS NULL) AS claimed
  FROM waiting;

-- planned_by_day
SELECT as_of AS day, sum(proposals)::bigint AS planned FROM plan_run GROUP BY as_of ORDER BY as_of;

-- states_by_day
-- What became of each day's proposals. A claim that was not written yet still waits.
SELECT as_of AS day,
       CASE WHEN state = 'sending' AND wired_at IS NULL THEN 'ready' ELSE state END AS state,
       count(*) AS envelopes, count(wired_at) AS submitted
  FROM envelope GROUP BY 1, 2 ORDER BY 1, 2;

-- sent_by_route
-- What each route was given, by the day it was put on the wire, and what it said became of it.
SELECT COALESCE(route, '') AS route, (wired_at AT TIME ZONE %(zone)s)::date AS day,
       count(*) AS submitted, sum(parts)::bigint AS parts_submitted,
       count(*) FILTER (WHERE state = 'delivered') AS delivered,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'expired') AS expired,
       count(*) FILTER (WHERE state IN ('unknown', 'accepted', 'sending')) AS unknown
  FROM envelope WHERE wired_at IS NOT NULL GROUP BY 1, 2 ORDER BY 2, 1;

-- parts_by_route
-- What the route will bill: parts it accepted, by its own ids, and those it says it delivered.
SELECT s.route, (e.wired_at AT TIME ZONE %(zone)s)::date AS day, count(*) AS parts_accepted,
       count(*) FILTER (WHERE EXISTS (
           SELECT 1 FROM receipt r WHERE r.route = s.route AND r.provider_id = s.provider_id
                                     AND r.status = 'delivered')) AS parts_delivered
  FROM submission s JOIN envelope e USING (envelope_id)
 GROUP BY 1, 2 ORDER BY 2, 1;
