-- In:  table usage_marks. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: its columns channel, body, attempts and due_at, and index usage_marks_due: the outbox. A mark whose due_at is null has nothing
--      to deliver, or it is delivered.
-- Looking first, and not `if not exists` alone: that locks the table even where nothing is to be done.
if not exists (select from pg_attribute where attrelid = 'usage_marks'::regclass and attname = 'due_at' and not attisdropped) then
  alter table usage_marks
    add column channel text collate "C",
    add column body text,
    add column attempts integer not null default 0,
    add column due_at timestamptz;
end if;
if to_regclass('usage_marks_due') is null then
  create index usage_marks_due on usage_marks (channel, due_at) where due_at is not null;
end if;
