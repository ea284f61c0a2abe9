-- In:  nothing. Statements are separated by a line that reads `--> next`; each one is idempotent.
-- Out: table usage_folds, the periods that take no tallies any more, since their rows are one for all writers.
create table if not exists usage_folds (
  period text not null primary key,
  folded_at integer not null default (cast(unixepoch('subsec') * 1000 as integer))
) strict, without rowid;
