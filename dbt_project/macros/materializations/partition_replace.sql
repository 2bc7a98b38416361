{#- A table that is rebuilt by occurred date.

    config: date_column, the Date (or DateTime) a row belongs to; partition, 'day', 'week' or 'month'; order_by; touched_by,
    linked_by, touched_query and touched_keys, see touched_dates.sql.

    The first build and a full refresh fill a new table and exchange it. Every other build stages the rows of the touched
    dates, copies the untouched dates of the same partitions beside them, and replaces those partitions, each as a whole
    and the oldest first, so that a reader sees a partition's old rows or its new ones and a killed build is repaired by
    the next. -#}
{%- materialization partition_replace, adapter='clickhouse' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {%- do config.require('date_column') -%}
    {%- do correlations_named(source_of_model(model), config.get('touched_by', []) + config.get('linked_by', [])) -%}

    {{ run_hooks(pre_hooks) }}
    {%- set existing = existing_table(existing) -%}
    {%- if rebuilds_touched_dates() -%}
        {%- do replace_touched_partitions(target_relation, sql) -%}
    {%- else -%}
        {%- do refuse_to_forget(existing) -%}
        {%- do exchange_whole_table(target_relation, existing, sql) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{%- macro replace_touched_partitions(target_relation, sql) -%}
    {%- set touched = working_relation('touched') -%}
    {%- set staged = working_relation('staged') -%}
    {%- if config.get('touched_keys') -%}
        {%- do run_query('create or replace table ' ~ working_relation('touched_keys') ~ ' engine = MergeTree order by (' ~ config.get('touched_keys') | join(', ') ~ ') as ' ~ context[config.require('touched_query')]()) -%}
    {%- endif -%}
    {%- do take_touched_dates() -%}
    {%- do refuse_without_events(touched) -%}
    {%- do assert_contract(sql, target_relation) -%}
    {#- A result without rows has no columns either. -#}
    {%- set ids = [] -%}
    {%- for row in run_query("select distinct toString(" ~ partition_of('occurred_date', as_id=true) ~ ") as id from " ~ touched ~ " where is_touched order by id").rows -%}
        {%- do ids.append(row[0]) -%}
    {%- endfor -%}
    {%- if ids | length == 0 -%}
        {%- call statement('main') -%} select 1 {%- endcall -%}
    {%- else -%}
        {%- do run_query('create or replace table ' ~ staged ~ ' as ' ~ target_relation) -%}
        {%- call statement('main') -%}
            {{ insert_by_name(staged, touched_rows(target_relation, touched, sql)) }}
        {%- endcall -%}
        {#- ClickHouse reads 256 KiB of a statement, and commits each partition by itself in one statement too. -#}
        {%- for some_ids in ids | batch(50) -%}
            {%- set replacements = [] -%}
            {%- for id in some_ids -%}
                {%- do replacements.append("replace partition id '" ~ id ~ "' from " ~ staged) -%}
            {%- endfor -%}
            {%- do run_query('alter table ' ~ target_relation ~ ' ' ~ replacements | join(', ') ~ ' settings allow_replace_partition_from_empty_source = 1') -%}
        {%- endfor -%}
        {%- do run_query('drop table ' ~ staged ~ ' sync') -%}
    {%- endif -%}
    {%- do run_query('drop table ' ~ touched ~ ' sync') -%}
    {%- if config.get('touched_keys') -%}
        {%- do run_query('drop table ' ~ working_relation('touched_keys') ~ ' sync') -%}
    {%- endif -%}
{%- endmacro -%}

{%- macro touched_rows(target_relation, touched, sql) -%}
    {%- set columns = model.columns.values() | map(attribute='name') | join(', ') -%}
    {%- set row_date = 'toDate(' ~ config.require('date_column') ~ ')' -%}
    {%- set touched_dates_only = '(select occurred_date from ' ~ touched ~ ' where is_touched)' -%}
    {%- set of_touched_partition = partition_of(row_date) ~ ' in (select ' ~ partition_of('occurred_date') ~ ' from ' ~ touched ~ ' where is_touched)' -%}
    {%- if config.get('touched_keys') %}
    select {{ columns }}
    from ({{ with_restated_dates('(' ~ sql ~ '\n)') }})
    where {{ row_date }} between first_date and last_date
    union all
    select {{ columns }}
    from ({{ with_restated_dates(target_relation) }})
    where
        {{ of_touched_partition }}
        and (first_date is null or {{ row_date }} not between first_date and last_date)
    {%- else %}
    select {{ columns }}
    from (
{{ sql }}
    )
    where {{ row_date }} in {{ touched_dates_only }}
    {%- if config.get('partition', 'day') != 'day' %}
    union all
    select {{ columns }}
    from {{ target_relation }}
    where
        {{ of_touched_partition }}
        and {{ row_date }} not in {{ touched_dates_only }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{#- Rows of a relation with the dates from and to which their key is restated; null where it is not. -#}
{%- macro with_restated_dates(relation) -%}
    {%- set keys = config.get('touched_keys') | join(', ') -%}
    select *
    from {{ relation }} as built
    left any join (
        select {{ keys }}, toNullable(first_date) as first_date, toNullable(last_date) as last_date
        from {{ working_relation('touched_keys') }}
    ) as restated using ({{ keys }})
{%- endmacro -%}

{#- The partition that a date belongs to, as a value or as ClickHouse's id of it. -#}
{%- macro partition_of(date, as_id=false) -%}
    {%- set partition = config.get('partition', 'day') -%}
    {%- if partition == 'month' -%}
        toYYYYMM({{ date }})
    {%- else -%}
        {%- set start = 'toMonday(' ~ date ~ ')' if partition == 'week' else date -%}
        {{ 'toYYYYMMDD(' ~ start ~ ')' if as_id else start }}
    {%- endif -%}
{%- endmacro -%}
