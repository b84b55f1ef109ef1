-- add
INSERT INTO template_approval (template, content_hash, what, author, "by", at, why)
VALUES (%(template)s, %(content_hash)s, %(what)s, %(author)s, %(by)s, %(at)s, %(why)s);

-- last_words
-- Of each text and wording on record, what was said of it last.
SELECT DISTINCT ON (template, content_hash)
       template, content_hash, what, author, "by", at, why
  FROM template_approval
 ORDER BY template, content_hash, approval_id DESC;

-- told
-- All that was said, the latest first.
SELECT template, content_hash, what, author, "by", at, why
  FROM template_approval
 WHERE %(template)s::text IS NULL OR template = %(template)s::text
 ORDER BY approval_id DESC
 LIMIT %(limit)s;
