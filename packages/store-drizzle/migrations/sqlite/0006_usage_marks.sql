-- In:  nothing. Idempotent.
-- Out: table usage_marks, what was claimed, once. The backend or the dimension of a mark that is of none is the empty text.
-- The backend comes first: a mark is looked for by all four, and all of a backend's are removed at once.
create table if not exists usage_marks (
  backend text not null,
  period text not null,
  dimension text not null,
  mark text not null,
  created_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  primary key (backend, period, dimension, mark)
) strict, without rowid;
