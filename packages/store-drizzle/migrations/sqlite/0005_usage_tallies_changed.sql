-- In:  table usage_tallies. Idempotent.
-- Out: index usage_tallies_changed, which tells what of a period changed last without reading the period.
create index if not exists usage_tallies_changed on usage_tallies (period, updated_at, backend);
