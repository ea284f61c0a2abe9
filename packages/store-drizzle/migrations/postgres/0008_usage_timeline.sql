-- In:  table usage_tallies. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: its column grown, by how much a row grew the last time where a timeline is kept; and table usage_timeline, usage by hour.
-- The hour comes before the backend: an hour is written and read as a run of rows, and old ones are found without reading the others.
-- Looking first, and not `if not exists` alone: that locks the table even where nothing is to be done.
if not exists (select from pg_attribute where attrelid = 'usage_tallies'::regclass and attname = 'grown' and not attisdropped) then
  alter table usage_tallies add column grown bigint;
end if;
if to_regclass('usage_timeline') is null then
  create table usage_timeline (
    period text collate "C" not null,
    hour timestamptz not null,
    backend text collate "C" not null,
    dimension text collate "C" not null,
    amount bigint not null,
    primary key (period, hour, backend, dimension)
  );
end if;
