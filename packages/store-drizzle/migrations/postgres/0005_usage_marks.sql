-- In:  nothing. Runs inside one plpgsql block, behind an advisory lock; idempotent.
-- Out: table usage_marks, what was claimed, once. The backend or the dimension of a mark that is of none is the empty text.
-- The backend comes first: a mark is looked for by all four, and all of a backend's are removed at once.
if to_regclass('usage_marks') is null then
  create table usage_marks (
    backend text collate "C" not null,
    period text collate "C" not null,
    dimension text collate "C" not null,
    mark text collate "C" not null,
    created_at timestamptz not null default now(),
    primary key (backend, period, dimension, mark)
  );
end if;
