{#- Which occurred dates a run rebuilds, and which it has to read for that.

    A model names its events' correlations, out of those that the source's contracts declare (correlations.sql):
    `touched_by` lists the ways in which an event restates another date than its own, `linked_by` those over which its
    rows span dates.

    A model whose rows carry on from day to day names a macro in `touched_query` that selects the dates itself. With
    `touched_keys`, the columns that such a chain of days belongs to, the macro selects these columns, first_date and
    last_date instead: of these keys the rows from date to date are replaced, all others of the same partitions kept. -#}

{#- The received hours of this run, or none where everything is rebuilt. -#}
{%- macro received_window() -%}
    {%- set start = var('window_from', none) or (env_var('MILLRACE_WINDOW_FROM', '') if execute else '') -%}
    {%- set end = var('window_to', none) or (env_var('MILLRACE_WINDOW_TO', '') if execute else '') -%}
    {%- if execute and (start == '') != (end == '') -%}
        {{ exceptions.raise_compiler_error("window_from and window_to belong together: got '" ~ start ~ "' and '" ~ end ~ "'") }}
    {%- endif -%}
    {{ return({'from': start, 'to': end} if start else none) }}
{%- endmacro -%}

{#- The source whose dates a model follows: the folder below its layer. -#}
{%- macro source_of_model(node) -%}
    {{ return(node.fqn[2]) }}
{%- endmacro -%}

{#- Quoted names of correlations; one that the contracts do not declare would silently touch nothing. -#}
{%- macro correlations_named(source_name, names) -%}
    {%- set declared = ['self'] + correlations_of(source_name) -%}
    {%- for name in names if name not in declared -%}
        {{ exceptions.raise_compiler_error(model.name ~ " names the correlation '" ~ name ~ "'; " ~ source_name ~ ' has: ' ~ declared | join(', ')) }}
    {%- endfor -%}
    '{{ names | join("', '") }}'
{%- endmacro -%}

{#- The occurred dates that the window touches, as a subquery; via=none for those touched in any way. -#}
{%- macro touched_dates(source_name, via=['self']) -%}
    {%- set window = received_window() -%}
    select distinct occurred_date
    from raw.touched_dates
    where
        source = '{{ source_name }}'
        {%- if via is not none %}
        and via in ({{ correlations_named(source_name, via) }})
        {%- endif %}
        {%- if window is not none %}
        and received_hour >= toDateTime('{{ window.from }}', 'UTC')
        and received_hour < toDateTime('{{ window.to }}', 'UTC')
        and occurred_date not in ({{ dates_beyond_the_lake(source_name) }})
        {%- endif %}
{%- endmacro -%}

{#- Whether this run replaces the touched dates of an existing table only. -#}
{%- macro rebuilds_touched_dates() -%}
    {%- if not execute or model.resource_type != 'model' or should_full_refresh() or received_window() is none -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(load_cached_relation(stored_relation()) is not none) }}
{%- endmacro -%}

{#- The table that holds a model's rows: the model's own, or one beside it where the model is a view of it. -#}
{%- macro stored_relation() -%}
    {{ return(working_relation('rows') if config.get('materialized') == 'key_replace' else this) }}
{%- endmacro -%}

{#- A table beside the model's own; analysts never see it. -#}
{%- macro working_relation(suffix) -%}
    {{ return(api.Relation.create(database=this.database, schema=target.schema, identifier=this.schema ~ '__' ~ this.identifier ~ '__' ~ suffix, type='table')) }}
{%- endmacro -%}

{#- True for dates whose rows this run replaces; put it on every input whose rows stand for one date alone. -#}
{%- macro is_touched(column) -%}
    {%- if rebuilds_touched_dates() -%}
        {{ column }} in (select occurred_date from {{ working_relation('touched') }} where is_touched)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro -%}

{#- True for the touched dates and for all dates that share a key of `linked_by`, or of those named in `via`, with them. -#}
{%- macro is_linked(column, via=none) -%}
    {%- if rebuilds_touched_dates() -%}
        {{ column }} in (select occurred_date from {{ working_relation('touched') }} where {{ linked_via(via) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro -%}

{#- As is_touched and is_linked, for rows of staging: names the received hours too, which are ClickHouse's partitions. Small
    hours hold all their event types in one granule, where the primary key alone skips nothing. -#}
{%- macro is_touched_event() -%}
    {{ is_touched('occurred_date') }}
    {{- received_with('is_touched') if rebuilds_touched_dates() }}
{%- endmacro -%}

{%- macro is_linked_event(via=none) -%}
    {{ is_linked('occurred_date', via) }}
    {{- received_with(linked_via(via)) if rebuilds_touched_dates() }}
{%- endmacro -%}

{%- macro linked_via(names) -%}
    {%- if names is none -%}
        true
    {%- else -%}
        {%- for name in names if name not in config.get('linked_by', []) -%}
            {{ exceptions.raise_compiler_error(model.name ~ " reads over the correlation '" ~ name ~ "', which is not in its linked_by: " ~ config.get('linked_by', []) | join(', ')) }}
        {%- endfor -%}
        is_touched or hasAny(vias, ['{{ names | join("', '") }}'])
    {%- endif -%}
{%- endmacro -%}

{%- macro received_with(condition) %}
        and received_hour in (
            {{ received_hours_of('select occurred_date from ' ~ working_relation('touched') ~ ' where ' ~ condition) }}
        )
{%- endmacro -%}

{#- The received hours that hold events of some occurred dates. -#}
{%- macro received_hours_of(dates) -%}
    select received_hour
            from raw.touched_dates
            where
                source = '{{ source_of_model(model) }}'
                and via = 'self'
                and occurred_date in ({{ dates }})
{%- endmacro -%}

{#- True for the touched dates and a number of days before each: what a trailing window reads. -#}
{%- macro is_within_days_before_touched(column, days) -%}
    {%- if rebuilds_touched_dates() -%}
        {{ column }} in (
            select arrayJoin(arrayMap(n -> occurred_date - n, range({{ days + 1 }})))
            from {{ working_relation('touched') }}
            where is_touched
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro -%}

{#- Every day from one to another, both included; of them at most those from the first to the last that this run replaces. -#}
{%- macro days_to_replace(first, last) -%}
    {%- if rebuilds_touched_dates() -%}
        {%- set touched = 'from ' ~ working_relation('touched') ~ ' where is_touched' -%}
        {%- set first = 'greatest(' ~ first ~ ', assumeNotNull((select min(occurred_date) ' ~ touched ~ ')))' -%}
        {%- set last = 'least(' ~ last ~ ', assumeNotNull((select max(occurred_date) ' ~ touched ~ ')))' -%}
    {%- endif -%}
    arrayJoin(arrayMap(n -> {{ first }} + n, range(toUInt32(greatest(toInt32({{ last }} - {{ first }}) + 1, 0)))))
{%- endmacro -%}

{#- Takes one snapshot of the dates: those that another load touches meanwhile wait for their own run. -#}
{%- macro take_touched_dates() -%}
    {#- In memory: it holds dates, a row each. -#}
    {%- do run_query('create or replace table ' ~ working_relation('touched') ~ ' engine = Memory as ' ~ touched_and_linked_dates()) -%}
{%- endmacro -%}

{#- The dates a model replaces (is_touched) and those it reads besides, with the correlations that tie them. -#}
{%- macro touched_and_linked_dates() -%}
    {%- set source_name = source_of_model(model) -%}
    {%- set touched_query = config.get('touched_query', none) -%}
    {%- set touched = dates_of_touched_keys() if config.get('touched_keys') else context[touched_query]() if touched_query else touched_dates(source_name, ['self'] + config.get('touched_by', [])) -%}
    {%- set linked_by = config.get('linked_by', []) %}
    with
    touched as (
        {{ touched }}
    )

    select
        occurred_date,
        max(is_touched) as is_touched,
        groupUniqArray(via) as vias
    from (
        select
            occurred_date,
            true as is_touched,
            'self' as via
        from touched
        {%- if linked_by %}
        union all
        select
            links.linked_date as occurred_date,
            false as is_touched,
            toString(links.via) as via
        from raw.linked_dates as links
        where
            links.source = '{{ source_name }}'
            and links.via in ({{ correlations_named(source_name, linked_by) }})
            and links.occurred_date in (select occurred_date from touched)
        {%- endif %}
    )
    group by occurred_date
{%- endmacro -%}

{#- Every date at which some key is restated. -#}
{%- macro dates_of_touched_keys() -%}
        select distinct arrayJoin(arrayMap(n -> first_date + n, range(toUInt32(last_date - first_date + 1)))) as occurred_date
        from (
            select
                min(first_date) as first_date,
                last_date
            from {{ working_relation('touched_keys') }} as restated
            where restated.first_date <= restated.last_date
            group by last_date
        )
{%- endmacro -%}

{#- The date some days before another; dates begin at 1970-01-01. -#}
{%- macro days_before(date, days) -%}
    toDate(greatest(toInt32({{ date }}) - {{ days }}, 0))
{%- endmacro -%}
