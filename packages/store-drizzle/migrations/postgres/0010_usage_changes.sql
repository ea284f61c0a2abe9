-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_changes, the settings that were changed while processes ran, and their trail. Values are JSON.
if to_regclass('usage_changes') is null then
  create table usage_changes (
    revision bigint not null primary key,
    subject text collate "C" not null,
    setting text collate "C" not null,
    value text,
    before text,
    changed_by text,
    reason text,
    created_at timestamptz not null default now()
  );
end if;
