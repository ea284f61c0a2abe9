-- In:  nothing. Statements are separated by a line that reads `--> next`; each one is idempotent.
-- Out: table usage_grants, what was granted to backends for single periods, and its trail; and index usage_grants_created,
--      which tells what was granted of a period since. The amounts are a JSON object, by dimension.
-- The backend comes first: all of a backend's are removed at once.
create table if not exists usage_grants (
  backend text not null,
  period text not null,
  id text not null,
  amounts text not null,
  reason text not null,
  granted_by text,
  created_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  primary key (backend, period, id)
) strict, without rowid;
--> next
create index if not exists usage_grants_created on usage_grants (period, created_at);
