-- In:  view usage_totals. The first statement asks whether the others are needed; they are one transaction.
-- Out: the same view, written on one line: drizzle-kit does not read it otherwise, and then applies nothing.
select 1 from sqlite_master where type = 'view' and name = 'usage_totals' and sql = 'CREATE VIEW usage_totals as
select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount
from usage_tallies
group by period, backend, dimension';
--> next
drop view usage_totals;
--> next
create view usage_totals as select period, backend, dimension, cast(min(total(amount), 9007199254740991) as integer) as amount from usage_tallies group by period, backend, dimension;
