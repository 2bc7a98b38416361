-- Which known users were seen on which days.
create table users_seen as
select distinct tenant_id, user_key, cast(occurred_at as date) as seen_on
from tracked
where not is_bot and user_key is not null;
