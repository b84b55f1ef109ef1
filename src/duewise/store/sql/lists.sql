-- What the console's lists read. Each is of rows and of blocks, and neither is read but for a stretch of
-- them, the newest first: by the number of the rows, by the number of the blocks.
--   _ends     the lowest and highest number of the rows, and of the blocks
--   _at_row   about when a number was given: the latest instant near it; so `_at_block`
--   _rows     how many rows lie in the stretch, and the lowest number
--   _blocks   its blocks, the number by which they stand among the rows, and how much in each may pass
--   _stretch  all that is in these blocks and between these rows, as the view has it, with its place
--   _found    the same of some envelopes, by their indexes
-- `OFFSET 0` keeps the planner from unfolding a block anew for each of its envelopes.

-- routes
-- Of whatever was accepted or told: by the index from one name to the next, however many rows there are.
WITH RECURSIVE accepted AS (
    SELECT (SELECT min(route) FROM submission) AS route
     UNION ALL
    SELECT (SELECT min(s.route) FROM submission s WHERE s.route > a.route)
      FROM accepted a WHERE a.route IS NOT NULL
), told AS (
    SELECT (SELECT min(route) FROM receipt_row) AS route
     UNION ALL
    SELECT (SELECT min(r.route) FROM receipt_row r WHERE r.route > t.route)
      FROM told t WHERE t.route IS NOT NULL
)
SELECT route FROM accepted WHERE route IS NOT NULL
 UNION
SELECT route FROM told WHERE route IS NOT NULL;

-- named
-- The envelopes to whose parts a gateway gave this name.
SELECT envelope_id FROM submission WHERE route = ANY(%(routes)s) AND provider_id = %(name)s;

-- told_twice
-- Rows that say what a block says, too: two sessions were told the same in the same instant.
SELECT r.receipt_id
  FROM receipt_row r
       JOIN envelope e ON e.envelope_id = r.envelope_id
       JOIN receipt_block b ON b.block_id = e.told_in AND b.route = r.route
 WHERE r.receipt_id = ANY(%(receipt_ids)s::bigint[]) AND r.status = 'delivered'
   AND EXISTS (SELECT FROM unnest(b.envelope_ids, b.provider_ids) AS told (envelope_id, provider_id)
                WHERE told.envelope_id = r.envelope_id AND told.provider_id = r.provider_id);

-- receipt_ends
SELECT (SELECT min(receipt_id) FROM receipt_row), (SELECT max(receipt_id) FROM receipt_row),
       (SELECT min(block_id) FROM receipt_block), (SELECT max(block_id) FROM receipt_block);

-- receipt_at_row
SELECT max(at) FROM (SELECT at FROM receipt_row WHERE receipt_id <= %(id)s
                      ORDER BY receipt_id DESC LIMIT 50) AS near;

-- receipt_at_block
SELECT max(at) FROM (SELECT taken_at AS at FROM receipt_block WHERE block_id <= %(id)s
                      ORDER BY block_id DESC LIMIT 50) AS near;

-- receipt_rows
SELECT count(*), min(receipt_id)
  FROM (SELECT receipt_id FROM receipt_row WHERE receipt_id < %(row)s AND receipt_id >= %(row_floor)s
         ORDER BY receipt_id DESC LIMIT %(limit)s) AS newest;

-- receipt_blocks
SELECT block_id, receipt_id,
       CASE WHEN COALESCE(%(status)s::text, 'delivered') <> 'delivered' THEN 0
            WHEN COALESCE(%(since)s::timestamptz, %(until)s::timestamptz) IS NULL
            THEN cardinality(envelope_ids)
            ELSE (SELECT count(*) FROM unnest(at_us) AS told (us)
                   WHERE timestamptz 'epoch' + us * interval '1 microsecond'
                         BETWEEN COALESCE(%(since)s::timestamptz, '-infinity')
                             AND COALESCE(%(until)s::timestamptz, 'infinity')) END
  FROM receipt_block WHERE block_id <= %(block)s AND block_id >= %(block_floor)s
 ORDER BY block_id DESC LIMIT %(limit)s;

-- receipt_stretch
SELECT receipt_id, route, provider_id, status, code, reference, at, envelope_id,
       receipt_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM receipt_row
 WHERE receipt_id >= %(low)s AND receipt_id < %(row)s
 UNION ALL
SELECT told.receipt_id, told.route, told.provider_id, 'delivered', told.code, told.reference, told.at,
       told.envelope_id, told.key, told.block_id, told.place
  FROM (SELECT b.receipt_id, b.route, each.provider_id, each.envelope_id, k.key, b.block_id, each.place,
               CASE WHEN cardinality(b.codes) = 1 THEN b.codes[1] ELSE each.code END AS code,
               CASE WHEN cardinality(b.refs) = 1 THEN b.refs[1] ELSE each.reference END AS reference,
               timestamptz 'epoch' + each.at_us * interval '1 microsecond' AS at
          FROM unnest(%(block_ids)s::bigint[], %(keys)s::bigint[]) AS k (block_id, key)
               JOIN receipt_block b ON b.block_id = k.block_id
               CROSS JOIN LATERAL unnest(b.envelope_ids, b.provider_ids, b.codes, b.refs, b.at_us)
                          WITH ORDINALITY
                          AS each (envelope_id, provider_id, code, reference, at_us, place)
         WHERE b.block_id < %(block)s OR each.place > %(place)s
        OFFSET 0) AS told
       JOIN envelope e ON e.envelope_id = told.envelope_id AND e.told_in = told.block_id;

-- receipt_found
SELECT receipt_id, route, provider_id, status, code, reference, at, envelope_id,
       receipt_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM receipt_row
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[])
    OR (route = ANY(%(routes)s::text[]) AND provider_id = %(name)s::text)
 UNION ALL
SELECT b.receipt_id, b.route, told.provider_id, 'delivered',
       CASE WHEN cardinality(b.codes) = 1 THEN b.codes[1] ELSE told.code END,
       CASE WHEN cardinality(b.refs) = 1 THEN b.refs[1] ELSE told.reference END,
       timestamptz 'epoch' + told.at_us * interval '1 microsecond', e.envelope_id,
       b.receipt_id, b.block_id, told.place
  FROM envelope e
       JOIN receipt_block b ON b.block_id = e.told_in
       CROSS JOIN LATERAL unnest(b.envelope_ids, b.provider_ids, b.codes, b.refs, b.at_us)
                  WITH ORDINALITY
                  AS told (envelope_id, provider_id, code, reference, at_us, place)
 WHERE e.envelope_id = ANY(%(envelope_ids)s::bigint[]) AND told.envelope_id = e.envelope_id;

-- verdict_ends
SELECT (SELECT min(verdict_id) FROM verdict_row), (SELECT max(verdict_id) FROM verdict_row),
       (SELECT min(block_id) FROM verdict_block), (SELECT max(block_id) FROM verdict_block);

-- verdict_at_row
SELECT max(at) FROM (SELECT at FROM verdict_row WHERE verdict_id <= %(id)s
                      ORDER BY verdict_id DESC LIMIT 50) AS near;

-- verdict_at_block
SELECT max(at) FROM (SELECT at FROM verdict_block WHERE block_id <= %(id)s
                      ORDER BY block_id DESC LIMIT 50) AS near;

-- verdict_rows
SELECT count(*), min(verdict_id)
  FROM (SELECT verdict_id FROM verdict_row WHERE verdict_id < %(row)s AND verdict_id >= %(row_floor)s
         ORDER BY verdict_id DESC LIMIT %(limit)s) AS newest;

-- verdict_blocks
SELECT block_id, last_verdict,
       CASE WHEN COALESCE(%(gate)s::text, 'wire') = 'wire'
             AND COALESCE(%(outcome)s::text, 'allow') = 'allow'
             AND at BETWEEN COALESCE(%(since)s::timestamptz, '-infinity')
                   AND COALESCE(%(until)s::timestamptz, 'infinity')
            THEN cardinality(envelope_ids) ELSE 0 END
  FROM verdict_block WHERE block_id <= %(block)s AND block_id >= %(block_floor)s
 ORDER BY block_id DESC LIMIT %(limit)s;

-- verdict_stretch
SELECT verdict_id, envelope_id, gate, at, outcome, rules, next_allowed_at,
       verdict_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM verdict_row
 WHERE verdict_id >= %(low)s AND verdict_id < %(row)s
 UNION ALL
SELECT told.verdict_id, told.envelope_id, 'wire', told.at, 'allow', '{}'::text[], NULL::timestamptz,
       told.key, told.block_id, told.place
  FROM (SELECT each.verdict_id, each.envelope_id, b.at, k.key, b.block_id, each.place
          FROM unnest(%(block_ids)s::bigint[], %(keys)s::bigint[]) AS k (block_id, key)
               JOIN verdict_block b ON b.block_id = k.block_id
               CROSS JOIN LATERAL unnest(b.verdict_ids, b.envelope_ids) WITH ORDINALITY
                          AS each (verdict_id, envelope_id, place)
         WHERE b.block_id < %(block)s OR each.place > %(place)s
        OFFSET 0) AS told
       JOIN envelope e ON e.envelope_id = told.envelope_id AND e.sent_in = told.block_id;

-- verdict_found
SELECT verdict_id, envelope_id, gate, at, outcome, rules, next_allowed_at,
       verdict_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM verdict_row
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[])
 UNION ALL
SELECT told.verdict_id, e.envelope_id, 'wire', b.at, 'allow', '{}'::text[], NULL::timestamptz,
       b.last_verdict, b.block_id, told.place
  FROM envelope e
       JOIN verdict_block b ON b.block_id = e.sent_in
       CROSS JOIN LATERAL unnest(b.verdict_ids, b.envelope_ids) WITH ORDINALITY
                  AS told (verdict_id, envelope_id, place)
 WHERE e.envelope_id = ANY(%(envelope_ids)s::bigint[]) AND told.envelope_id = e.envelope_id;

-- envelope_change_ends
SELECT (SELECT min(change_id) FROM change_row), (SELECT max(change_id) FROM change_row),
       (SELECT min(change_id) FROM change_block), (SELECT max(change_id) FROM change_block);

-- envelope_change_at_row
SELECT max(at) FROM (SELECT at FROM change_row WHERE change_id <= %(id)s
                      ORDER BY change_id DESC LIMIT 50) AS near;

-- envelope_change_at_block
SELECT max(at) FROM (SELECT at FROM change_block WHERE change_id <= %(id)s
                      ORDER BY change_id DESC LIMIT 50) AS near;

-- envelope_change_rows
SELECT count(*), min(change_id)
  FROM (SELECT change_id FROM change_row WHERE change_id < %(row)s AND change_id >= %(row_floor)s
         ORDER BY change_id DESC LIMIT %(limit)s) AS newest;

-- envelope_change_blocks
SELECT change_id, change_id,
       CASE WHEN COALESCE(%(new_state)s::text, new_state) = new_state
             AND at BETWEEN COALESCE(%(since)s::timestamptz, '-infinity')
                   AND COALESCE(%(until)s::timestamptz, 'infinity')
            THEN cardinality(envelope_ids) ELSE 0 END
  FROM change_block WHERE change_id <= %(block)s AND change_id >= %(block_floor)s
 ORDER BY change_id DESC LIMIT %(limit)s;

-- envelope_change_stretch
SELECT change_id, envelope_id, at, old_state, new_state, reason,
       change_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM change_row
 WHERE change_id >= %(low)s AND change_id < %(row)s
 UNION ALL
SELECT told.change_id, told.envelope_id, told.at, told.old_state, told.new_state, told.reason,
       told.key, told.change_id, told.place
  FROM (SELECT b.change_id, each.envelope_id, b.at, b.old_state, b.new_state, b.reason, b.block_id,
               k.key, each.place
          FROM unnest(%(block_ids)s::bigint[], %(keys)s::bigint[]) AS k (block_id, key)
               JOIN change_block b ON b.change_id = k.block_id
               CROSS JOIN LATERAL unnest(b.envelope_ids) WITH ORDINALITY AS each (envelope_id, place)
         WHERE b.change_id < %(block)s OR each.place > %(place)s
        OFFSET 0) AS told
       JOIN envelope e ON e.envelope_id = told.envelope_id
                      AND told.block_id = ANY (ARRAY[e.sent_in, e.told_in]);

-- envelope_change_found
SELECT change_id, envelope_id, at, old_state, new_state, reason,
       change_id AS page_key, 0::bigint AS page_block, 0::bigint AS page_place
  FROM change_row
 WHERE envelope_id = ANY(%(envelope_ids)s::bigint[])
 UNION ALL
SELECT b.change_id, e.envelope_id, b.at, b.old_state, b.new_state, b.reason,
       b.change_id, b.change_id, told.place
  FROM envelope e
       JOIN change_block b ON b.block_id = ANY (ARRAY[e.sent_in, e.told_in])
       CROSS JOIN LATERAL unnest(b.envelope_ids) WITH ORDINALITY AS told (envelope_id, place)
 WHERE e.envelope_id = ANY(%(envelope_ids)s::bigint[]) AND told.envelope_id = e.envelope_id;
