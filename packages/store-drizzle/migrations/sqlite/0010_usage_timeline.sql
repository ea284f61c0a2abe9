-- In:  nothing. Idempotent.
-- Out: table usage_timeline, usage by hour (milliseconds since the Unix epoch).
-- The hour comes before the backend: an hour is written and read as a run of rows, and old ones are found without reading the others.
create table if not exists usage_timeline (
  period text not null,
  hour integer not null,
  backend text not null,
  dimension text not null,
  amount integer not null,
  primary key (period, hour, backend, dimension)
) strict, without rowid;
