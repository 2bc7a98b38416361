{#- What a build owes to retention: rows that stand on events which raw.events no longer holds are not rebuilt without
    them. The loader brings the hours of touched and linked dates back from the lake before dbt starts; a model that reads
    further asks for them, and the next try of its run has them. -#}

{#- Days of whose received hours retention took something out of some tables. -#}
{%- macro days_taken_out(stores) -%}
    select distinct toDate(period)
    from ops.retired_periods
    where
        source = '{{ source_of_model(model) }}'
        and store in ('{{ stores | join("', '") }}')
{%- endmacro -%}

{#- Occurred dates with events that the lake itself no longer holds: they cannot be rebuilt, and stay as they are. -#}
{%- macro dates_beyond_the_lake(source_name) -%}
    select occurred_date
    from raw.touched_dates
    where
        source = '{{ source_name }}'
        and via = 'self'
        and received_hour in (
            select period
            from ops.retired_periods
            where source = '{{ source_name }}' and store = 'ops.loads'
        )
{%- endmacro -%}

{#- Whether a model reads events: staging, itself or through views. -#}
{%- macro reads_events(node) -%}
    {%- for parent_id in node.depends_on.nodes -%}
        {%- set parent = graph.nodes.get(parent_id) -%}
        {%- if parent and parent.resource_type == 'model' -%}
            {%- if parent.fqn[1] == 'staging' -%}
                {{ return(true) }}
            {%- elif parent.config.materialized == 'view' and reads_events(parent) -%}
                {{ return(true) }}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(false) }}
{%- endmacro -%}

{#- Received hours that retention took out of raw.events and that the lake still holds. -#}
{%- macro hours_to_bring_back(source_name) -%}
    select period
    from ops.retired_periods
    where
        source = '{{ source_name }}'
        and store = 'raw.events'
        and period not in (
            select period
            from ops.retired_periods
            where source = '{{ source_name }}' and store = 'ops.loads'
        )
{%- endmacro -%}

{#- Stops a build of touched dates that have events in hours which were taken out, and asks for the hours. -#}
{%- macro refuse_without_events(dates) -%}
    {%- if reads_events(model) -%}
        {%- set source_name = source_of_model(model) -%}
        {%- set missing -%}
            {{ hours_to_bring_back(source_name) }}
                and period in (
                    select received_hour
                    from raw.touched_dates
                    where
                        source = '{{ source_name }}'
                        and via = 'self'
                        and occurred_date in (select occurred_date from {{ dates }})
                )
        {%- endset -%}
        {%- set found = run_query('select count(), toString(min(period)) from (' ~ missing ~ ')').rows[0] -%}
        {%- if found[0] > 0 -%}
            {%- do run_query("insert into ops.wanted_hours select '" ~ source_name ~ "', period, '" ~ model.name ~ "', now64(3, 'UTC') from (" ~ missing ~ ')') -%}
            {{ exceptions.raise_compiler_error(model.name ~ ' needs ' ~ found[0] ~ ' received hours that retention took out of raw.events, first ' ~ found[1] ~ ': the next try brings them back from the lake') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- Stops a build of everything without every event: it would forget the dates of those that are missing. Of dates that the
    lake no longer holds only a table that is there already could lose rows. -#}
{%- macro refuse_to_forget(existing) -%}
    {%- if reads_events(model) -%}
        {%- set source_name = source_of_model(model) -%}
        {%- set missing = run_query('select count(), toString(min(period)) from (' ~ hours_to_bring_back(source_name) ~ ')').rows[0] -%}
        {%- if missing[0] > 0 -%}
            {{ exceptions.raise_compiler_error(model.name ~ ' cannot be built anew: retention took ' ~ missing[0] ~ ' received hours out of raw.events, first ' ~ missing[1] ~ '. `millrace run` over these hours brings them back') }}
        {%- endif -%}
        {%- set beyond = 'toDate(' ~ config.require('date_column') ~ ') in (' ~ dates_beyond_the_lake(source_name) ~ ')' -%}
        {%- if existing is not none and run_query('select count() from ' ~ existing ~ ' where ' ~ beyond).rows[0][0] > 0 -%}
            {{ exceptions.raise_compiler_error(model.name ~ ' holds rows of dates that the lake no longer holds: building it anew would lose them. Copy them aside first, and drop the table') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}
