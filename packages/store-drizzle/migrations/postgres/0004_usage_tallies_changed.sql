-- In:  table usage_tallies. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: index usage_tallies_changed, which tells what of a period changed last without reading the period.
if to_regclass('usage_tallies_changed') is null then
  create index usage_tallies_changed on usage_tallies (period, updated_at);
end if;
