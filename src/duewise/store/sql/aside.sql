-- aside
-- What cannot be taken in, the oldest first, and how much there is in all.
SELECT raw_id, route, kind, at, reason, octet_length(body) AS octets, count(*) OVER () AS total
  FROM raw_inbound
 WHERE reason IS NOT NULL
 ORDER BY raw_id
 LIMIT %(limit)s;

-- aside_ids
-- Of these numbers, or of all, those under which something is set aside.
SELECT raw_id FROM raw_inbound
 WHERE reason IS NOT NULL AND (%(raw_ids)s::bigint[] IS NULL OR raw_id = ANY(%(raw_ids)s::bigint[]))
 ORDER BY raw_id;

-- aside_row
SELECT raw_id, route, kind, at, reason, body
  FROM raw_inbound WHERE raw_id = %(raw_id)s AND reason IS NOT NULL;

-- hold_aside
-- To be taken in anew by one process only; whoever comes second finds what the first has left.
SELECT route, kind, reason, body
  FROM raw_inbound WHERE raw_id = %(raw_id)s AND reason IS NOT NULL FOR UPDATE;

-- keep_aside
-- What still cannot be taken in, under its number and since the same instant.
UPDATE raw_inbound SET body = %(body)s, reason = %(reason)s WHERE raw_id = %(raw_id)s;
