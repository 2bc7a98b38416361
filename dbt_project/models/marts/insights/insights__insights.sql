{{
    config(
        materialized='partition_replace',
        date_column='day',
        partition='month',
        order_by=['tenant_id', 'day', 'rank'],
        touched_query='insights_insights_touched',
        tags=['daily'],
    )
}}

-- What decides which days are touched:
-- depends_on: {{ ref('int_insights__counters_daily') }}
-- depends_on: {{ ref('insights__metric_values_day') }}

with
hours as (
    select * from {{ ref('insights__metric_values_hour') }}
    where {{ is_within_days_before_touched('toDate(hour)', insights_baseline_days()) }}
),

-- What folds into one series changes every day.
series_hours as (
    select
        *,
        {{ insights_aspects() }} as shown_aspects
    from hours
    where not has(mapValues(dimensions), {{ insights_other() }})
),

told as (
    select
        *,
        arrayJoin(shown_aspects) as shown_aspect
    from series_hours
),

shown as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions,
        dimensions_text,
        hour,
        toDate(hour) as day,
        tupleElement(shown_aspect, 1) as aspect,
        assumeNotNull(tupleElement(shown_aspect, 2)) as observed
    from told
    where tupleElement(shown_aspect, 2) is not null
),

weekly_told as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        observed,
        arrayJoin(arrayMap(
            hours_ahead -> hour + toIntervalHour(hours_ahead), {{ insights_hours_ahead() }}
        )) as following_hour
    from shown
),

weekly as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        following_hour,
        groupArray(observed) as weekly_values
    from weekly_told
    group by
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        following_hour
),

recent_told as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        observed,
        arrayJoin(arrayMap(n -> day + n, range(1, 8))) as following_day
    from shown
),

recent as (
    select
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        following_day,
        groupArray(observed) as recent_values
    from recent_told
    group by
        tenant_id,
        name,
        type,
        unit,
        dimensions_text,
        aspect,
        following_day
),

compared as (
    select
        shown.tenant_id as tenant_id,  -- noqa: AL09
        shown.name as name,  -- noqa: AL09
        shown.type as type,  -- noqa: AL09
        shown.unit as unit,  -- noqa: AL09
        shown.dimensions as dimensions,  -- noqa: AL09
        shown.dimensions_text as dimensions_text,  -- noqa: AL09
        shown.day as day,  -- noqa: AL09
        shown.hour as hour,  -- noqa: AL09
        shown.aspect as aspect,  -- noqa: AL09
        shown.observed as observed,  -- noqa: AL09
        length(weekly.weekly_values) >= {{ insights_weekly_points() }} as is_weekly,
        if(is_weekly, weekly.weekly_values, recent.recent_values) as baseline_values
    from shown
    left join weekly
        on
            shown.tenant_id = weekly.tenant_id
            and shown.name = weekly.name
            and shown.type = weekly.type
            and shown.unit = weekly.unit
            and shown.dimensions_text = weekly.dimensions_text
            and shown.aspect = weekly.aspect
            and shown.hour = weekly.following_hour
    left join recent
        on
            shown.tenant_id = recent.tenant_id
            and shown.name = recent.name
            and shown.type = recent.type
            and shown.unit = recent.unit
            and shown.dimensions_text = recent.dimensions_text
            and shown.aspect = recent.aspect
            and shown.day = recent.following_day
    where {{ is_touched('shown.day') }}
),

expectations as (
    select
        *,
        if(is_weekly, 'weekly', 'recent') as baseline,
        length(baseline_values) as baseline_points,
        {{ insights_median('baseline_values') }} as expected
    from compared
    where is_weekly or length(baseline_values) >= {{ insights_recent_points() }}
),

spreads as (
    select
        *,
        observed - expected as deviation,
        {{ insights_median('arrayMap(was -> abs(was - expected), baseline_values)') }} as mad,
        {{ insights_spread('mad', 'expected') }} as spread,
        {{ insights_score('deviation', 'spread') }} as score
    from expectations
),

worst_hours as (
    select *
    from spreads
    where score >= {{ insights_least_score() }}
    order by
        score desc,
        abs(deviation) desc,
        hour asc,
        indexOf(['mean', 'max', 'min', 'sum'], aspect) asc
    limit 1 by (tenant_id, day, name, type, unit, dimensions_text)
),

ranked as (
    select
        *,
        row_number() over (
            partition by tenant_id, day
            order by score desc, abs(deviation) desc, name asc, type asc, unit asc, dimensions_text asc
        ) as place
    from worst_hours
)

select
    tenant_id,
    day,
    name,
    type,
    unit,
    dimensions,
    dimensions_text,
    hour,
    aspect,
    observed,
    expected,
    deviation,
    spread,
    score,
    baseline,
    baseline_points,
    toUInt8(place) as rank,
    concat(
        name,
        if(dimensions_text = '', '', concat(' (', dimensions_text, ')')),
        {{ insights_verb('aspect', 'deviation') }},
        {{ insights_shown('observed') }},
        if(unit = '', '', concat(' ', unit)),
        ' in the hour from ',
        formatDateTime(hour, '%H:%i', 'UTC'),
        ' UTC, where ',
        {{ insights_shown('expected') }},
        ' was expected: ',
        if(
            spread = 0,
            'it had not varied before.',
            concat(
                {{ insights_shown('score') }},
                ' times its usual spread ',
                if(deviation < 0, 'below', 'above'),
                if(baseline = 'weekly', ' the same hours of the weeks before.', ' the week before.')
            )
        )
    ) as sentence
from ranked
where place <= 10
