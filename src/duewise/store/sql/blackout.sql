-- order
INSERT INTO blackout (region, from_at, until_at, reason, ordered_at)
VALUES (%(region)s, %(from_at)s, %(until_at)s, %(reason)s, %(now)s)
RETURNING blackout_id;

-- lift
-- One that is over, or lifted before, is left as it is.
UPDATE blackout SET lifted_at = %(now)s
 WHERE blackout_id = %(blackout_id)s AND lifted_at IS NULL AND until_at > %(now)s
RETURNING region;

-- listed
-- Newest first, each with the people it covers; a region covers those that begin with its code.
SELECT b.blackout_id, b.region, b.from_at, b.until_at, b.reason, b.ordered_at, b.lifted_at,
       (SELECT count(*) FROM person p WHERE starts_with(p.region, b.region)) AS people,
       (SELECT count(*) FROM person p WHERE p.region IS NULL) AS people_anywhere
  FROM blackout b
 ORDER BY b.blackout_id DESC
 LIMIT %(limit)s;
