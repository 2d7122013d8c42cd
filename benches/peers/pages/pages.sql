-- What a page by hand is at the least: its rows, without HTTP. The ceiling of all that ask for it.
\set from random(:first, :last)
select body::text from transactions_by_hand where updated_at >= to_timestamp(:from)
order by updated_at, id limit 100 offset :skip;
