-- In:  table usage_tallies as an older version or drizzle-kit made it, with no index or trigger of the user's own. The first
--      statement asks whether the others are needed; they are one transaction.
-- Out: the same table and rows; its check is written so that drizzle-kit does not recognize it (see 0001).
-- Copied twice and not renamed: to rename a table fails where a view of the user's own reads it.
select 1 from sqlite_master where type = 'table' and name = 'usage_tallies'
  and (sql like '% check (amount >= 0),%' or sql like '% CHECK("usage_tallies"."amount" >= 0)%')
  and (select count(*) from pragma_table_info('usage_tallies')) = 6
  and not exists (select 1 from sqlite_master where tbl_name = 'usage_tallies' and type <> 'table' and sql is not null);
--> next
create table usage_tallies_copy as select * from usage_tallies;
--> next
drop table usage_tallies;
--> next
create table usage_tallies (
  period text not null,
  backend text not null,
  dimension text not null,
  writer text not null,
  amount integer not null constraint usage_tallies_amount check /* - */ (amount >= 0),
  updated_at integer not null default (cast(unixepoch('subsec') * 1000 as integer)),
  primary key (period, backend, dimension, writer)
) strict, without rowid;
--> next
insert into usage_tallies (period, backend, dimension, writer, amount, updated_at)
select period, backend, dimension, writer, amount, updated_at from usage_tallies_copy;
--> next
drop table usage_tallies_copy;
