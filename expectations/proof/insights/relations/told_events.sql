-- Every event that a mart measures.
create view told_events as
select *, occurred_at as moment, cast(occurred_at as date) as day
from events;
