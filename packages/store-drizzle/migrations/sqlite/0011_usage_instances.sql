-- In:  nothing. Idempotent.
-- Out: table usage_instances, the runs of processes that count, as they say of themselves, and when they were last heard of. The labels
--      are a JSON object.
create table if not exists usage_instances (
  id text not null primary key,
  started_at integer not null,
  stopped_at integer,
  seen_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  labels text not null
) strict, without rowid;
