-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_instances, the runs of processes that count, as they say of themselves, and when they were last heard of.
if to_regclass('usage_instances') is null then
  create table usage_instances (
    id text collate "C" not null primary key,
    started_at timestamptz not null,
    stopped_at timestamptz,
    seen_at timestamptz not null default now(),
    labels jsonb not null
  );
end if;
