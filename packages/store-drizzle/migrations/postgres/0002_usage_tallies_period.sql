-- In:  table usage_tallies. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: index usage_tallies_period, some kilobytes that tell which pages of the table hold a period.
-- Rows come period by period, so that one period is a run of pages. Without this, the planner reads the whole table for one
-- period of a year, for all that the primary key begins with it.
if to_regclass('usage_tallies_period') is null then
  create index usage_tallies_period on usage_tallies using brin (period) with (autosummarize = on);
end if;
