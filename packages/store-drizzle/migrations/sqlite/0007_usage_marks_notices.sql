-- In:  table usage_marks. The first statement asks whether the others are needed; they are one transaction.
-- Out: its columns channel, body, attempts and due_at: the outbox. A mark whose due_at is null has nothing to deliver, or it is
--      delivered.
select 1 where not exists (select 1 from pragma_table_info('usage_marks') where name = 'due_at');
--> next
alter table usage_marks add column channel text;
--> next
alter table usage_marks add column body text;
--> next
alter table usage_marks add column attempts integer not null default 0;
--> next
alter table usage_marks add column due_at integer;
