{%- set counts = ['converted', 'exposed', 'control_converted', 'control_exposed'] -%}
{{
    config(
        materialized='view',
        tags=['daily'],
    )
}}

with
days as (
    select * from {{ ref('int_bilten__exposures_daily') }}
),

conversions as (
    select
        tenant_id,
        subject_key,
        max(last_converted_at) as converted_at
    from {{ ref('int_bilten__subjects_converted_daily') }}
    group by
        tenant_id,
        subject_key
),

firsts as (
    select
        days.tenant_id,
        days.experiment,
        days.subject_key,
        days.is_exposure,
        argMin(days.first_variant, (days.first_at, days.first_event_id)) as variant,
        min(days.first_at) as happened_at
    from days
    group by
        days.tenant_id,
        days.experiment,
        days.subject_key,
        days.is_exposure
),

followed as (
    select
        firsts.tenant_id as tenant_id,  -- noqa: AL09
        firsts.experiment,
        firsts.variant,
        firsts.is_exposure,
        toDate(firsts.happened_at) as happened_on,
        firsts.is_exposure and conversions.converted_at >= firsts.happened_at as is_converted,
        toDate(conversions.converted_at) as converted_on
    from firsts
    left join conversions on firsts.tenant_id = conversions.tenant_id and firsts.subject_key = conversions.subject_key
),

counted as (
    select
        tenant_id,
        experiment,
        variant,
        countIf(not is_exposure) as assigned,
        countIf(is_exposure) as exposed,
        countIf(is_converted) as converted,
        greatest(max(happened_on), maxIf(converted_on, is_converted)) as last_day
    from followed
    group by
        tenant_id,
        experiment,
        variant
),

controls as (
    select
        counted.tenant_id,
        counted.experiment,
        argMin(counted.variant, (counted.variant != 'control', counted.variant)) as control,
        argMin(counted.exposed, (counted.variant != 'control', counted.variant)) as control_exposed,
        argMin(counted.converted, (counted.variant != 'control', counted.variant)) as control_converted
    from counted
    group by
        counted.tenant_id,
        counted.experiment
),

paired as (
    select
        counted.tenant_id as tenant_id,  -- noqa: AL09
        counted.experiment as experiment,  -- noqa: AL09
        counted.variant,
        counted.assigned,
        counted.exposed,
        counted.converted,
        counted.last_day,
        controls.control_exposed,
        controls.control_converted,
        toBool(counted.variant = controls.control) as is_control
    from counted
    inner join controls on counted.tenant_id = controls.tenant_id and counted.experiment = controls.experiment
),

compared as (
    select
        *,
        if(is_control, null, {{ difference_of_rates(*counts) }}) as lift,
        {{ z_of_95_percent() }} * {{ unpooled_error(*counts) }} as half_interval,
        lift / {{ pooled_error(*counts) }} as z_score
    from paired
)

select
    tenant_id,
    experiment,
    variant,
    is_control,
    assigned,
    exposed,
    converted,
    {{ ratio('converted', 'exposed') }} as conversion_rate,
    lift,
    if(lift is null, null, lift - half_interval) as lift_lower,
    if(lift is null, null, lift + half_interval) as lift_upper,
    if(control_converted = 0, null, lift / (control_converted / control_exposed)) as relative_lift,
    z_score,
    {{ p_of_z('z_score') }} as p_value,
    last_day
from compared
