-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_grants, what was granted to backends for single periods, and its trail; and index usage_grants_created,
--      which tells what was granted of a period since.
-- The backend comes first: all of a backend's are removed at once.
if to_regclass('usage_grants') is null then
  create table usage_grants (
    backend text collate "C" not null,
    period text collate "C" not null,
    id text collate "C" not null,
    amounts jsonb not null,
    reason text not null,
    granted_by text,
    created_at timestamptz not null default now(),
    primary key (backend, period, id)
  );
end if;
if to_regclass('usage_grants_created') is null then
  create index usage_grants_created on usage_grants (period, created_at);
end if;
