-- In:  table usage_marks with its notices. Idempotent.
-- Out: index usage_marks_due, which tells what is due without reading what is delivered. Of all rows: drizzle-kit 0.31
--      does not read which rows an index has, and would make it anew at every push.
create index if not exists usage_marks_due on usage_marks (channel, due_at);
