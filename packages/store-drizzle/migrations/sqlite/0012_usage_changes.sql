-- In:  nothing. Idempotent.
-- Out: table usage_changes, the settings that were changed while processes ran, and their trail. Values are JSON.
create table if not exists usage_changes (
  revision integer not null primary key,
  subject text not null,
  setting text not null,
  value text,
  before text,
  changed_by text,
  reason text,
  created_at integer not null default (cast(unixepoch('subsec') * 1000 as integer))
) strict, without rowid;
