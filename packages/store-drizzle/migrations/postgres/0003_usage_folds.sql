-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_folds, the periods that take no tallies any more, since their rows are one for all writers.
if to_regclass('usage_folds') is null then
  create table usage_folds (
    period text collate "C" not null primary key,
    folded_at timestamptz not null default now()
  );
end if;
