-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_tallies, one cumulative amount per period, backend, dimension and writer,
--      and view usage_totals, the same summed over writers (never above 2^53-1).
-- Looking first, and not `if not exists` alone: that needs the right to create even where everything exists.
if to_regclass('usage_tallies') is null then
  -- collate "C": names are compared bytewise whatever the database's locale is, and faster.
  create table usage_tallies (
    period text collate "C" not null,
    backend text collate "C" not null,
    dimension text collate "C" not null,
    writer text collate "C" not null,
    amount bigint not null constraint usage_tallies_amount check (amount >= 0),
    updated_at timestamptz not null default now(),
    primary key (period, backend, dimension, writer)
  );
end if;
if to_regclass('usage_totals') is null then
  create view usage_totals as
  select period, backend, dimension, least(sum(amount), 9007199254740991)::bigint as amount
  from usage_tallies
  group by period, backend, dimension;
end if;
