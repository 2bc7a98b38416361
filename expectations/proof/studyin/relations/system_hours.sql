-- Requests by the periods in which they are told: an hour, a day.
create macro requests_by(period) as table
    select
        tenant_id,
        path,
        date_trunc(period, occurred_at) as period,
        count(*) as requests,
        count(*) filter (status between 400 and 499) as client_errors,
        count(*) filter (status >= 500) as server_errors,
        ratio(count(*) filter (status >= 500), count(*)) as error_rate,
        ratio(count(*) filter (status between 400 and 499), count(*)) as client_error_rate,
        at_share(list(latency_ms), 0.5) as latency_p50_ms,
        at_share(list(latency_ms), 0.95) as latency_p95_ms,
        at_share(list(latency_ms), 0.99) as latency_p99_ms
    from app_events
    where event_type = 'api_request'
    group by all;
