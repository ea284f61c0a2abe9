-- In:  nothing. Statements are separated by a line that reads `--> next`; each one is idempotent.
-- Out: table usage_tallies, one cumulative amount per period, backend, dimension and writer,
--      and view usage_totals, the same summed over writers (never above 2^53-1).
-- STRICT: without it an amount beyond 64 bits would silently become a float.
-- The comment inside: drizzle-kit 0.31 takes a check that it recognizes for one of every table, and at each push makes the
-- user's tables anew.
create table if not exists usage_tallies (
  period text not null,
  backend text not null,
  dimension text not null,
  writer text not null,
  amount integer not null constraint usage_tallies_amount check /* - */ (amount >= 0),
  updated_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  primary key (period, backend, dimension, writer)
) strict, without rowid;
--> next
-- total() and not sum(): sum() fails where the sum passes 2^63, total() is exact to 2^53.
-- On one line, and word for word as in schema.ts: drizzle-kit reads no other, and compares the two.
create view if not exists usage_totals as select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount from usage_tallies group by period, backend, dimension;
