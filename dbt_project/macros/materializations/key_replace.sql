{#- A mart that is rebuilt by key: rows with the history of each key, of which a run restates those that changed.

    config: order_by, unique among the rows; key_columns, those that a history belongs to; changed_in, the model that
    keeps what the histories follow from, with a column changed_date. The model reads it where is_touched_key().

    Its rows live in a table beside it, where the one that was written last counts, and the mart is a view of those that
    count. So a run writes the rows that differ and no others, and attaches them in one statement: a reader sees the old
    rows or the new ones, and a killed build is repaired by the next. -#}
{%- materialization key_replace, adapter='clickhouse' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set rows = stored_relation() -%}
    {%- set sql = once_a_grain(sql) -%}

    {{ run_hooks(pre_hooks) }}
    {%- if rebuilds_touched_dates() -%}
        {%- do replace_touched_keys(rows, sql) -%}
    {%- else -%}
        {%- do remember_keys('true') -%}
        {%- do exchange_whole_table(rows, load_cached_relation(rows), sql, storage_by_key()) -%}
    {%- endif -%}
    {%- if existing is not none and existing.type != 'view' -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- do run_query('create or replace view ' ~ target_relation ~ ' as ' ~ standing_rows(rows)) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{#- Fails on a query that finds a row of `order_by` twice: the table would keep one of them, and no test could see it. -#}
{%- macro once_a_grain(sql) %}
select * except (rows_of_grain)
from (
    select *, count() over (partition by {{ config.require('order_by') | join(', ') }}) as rows_of_grain
    from (
{{ sql }}
    )
)
where not throwIf(rows_of_grain > 1, '{{ model.name }} finds rows more than once: its order_by is not their grain')
{% endmacro -%}

{#- Granules are small, for a run looks up few keys among many. -#}
{%- macro storage_by_key() -%}
    {{ return({'engine': 'ReplacingMergeTree', 'own_columns': ['is_retracted Bool'], 'index_granularity': 256}) }}
{%- endmacro -%}

{#- The rows that count, of those a table of key_replace holds. -#}
{%- macro standing_rows(rows) -%}
    select {{ model.columns.values() | map(attribute='name') | join(', ') }} from {{ rows }} final where not is_retracted
{%- endmacro -%}

{#- True for the keys whose rows this run restates. -#}
{%- macro is_touched_key() -%}
    {%- if rebuilds_touched_dates() -%}
        ({{ config.require('key_columns') | join(', ') }}) in (select * from {{ working_relation('touched_keys') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro -%}

{#- Adds the keys that changed on some dates to those that ever did. A change that vanishes leaves its key here, which is
    how a run finds the rows that it left. -#}
{%- macro remember_keys(condition) -%}
    {%- set known = working_relation('keys_by_date') -%}
    {%- set columns = (['changed_date'] + config.require('key_columns')) | join(', ') -%}
    {%- set found = 'select distinct ' ~ columns ~ ' from ' ~ ref(config.require('changed_in')) ~ ' where ' ~ condition -%}
    {%- do run_query('create table if not exists ' ~ known ~ ' engine = ReplacingMergeTree order by (' ~ columns ~ ') settings index_granularity = 256 empty as ' ~ found) -%}
    {%- do run_query('insert into ' ~ known ~ ' ' ~ found ~ ' except select ' ~ columns ~ ' from ' ~ known ~ ' where ' ~ condition) -%}
{%- endmacro -%}

{%- macro replace_touched_keys(rows, sql) -%}
    {%- set touched = working_relation('touched') -%}
    {%- set touched_keys = working_relation('touched_keys') -%}
    {%- set staged = working_relation('staged') -%}
    {%- set keys = config.require('key_columns') | join(', ') -%}
    {%- set columns = model.columns.values() | map(attribute='name') | join(', ') -%}
    {%- do take_touched_dates() -%}
    {%- do remember_keys(is_touched('changed_date')) -%}
    {%- do run_query('create or replace table ' ~ touched_keys ~ ' engine = MergeTree order by (' ~ keys ~ ') as select distinct ' ~ keys ~ ' from ' ~ working_relation('keys_by_date') ~ ' where ' ~ is_touched('changed_date')) -%}
    {%- do assert_contract(sql, rows, storage_by_key().own_columns) -%}
    {%- do run_query('create or replace table ' ~ staged ~ ' as ' ~ rows) -%}
    {#- What is both held and found stays as it is; of the rest what was found stands, and what was held alone is retracted. -#}
    {%- set differing -%}
    select {{ columns }}, not is_found as is_retracted
    from (
        select {{ columns }}, max(is_found) as is_found
        from (
            select {{ columns }}, true as is_found
            from (
{{ sql }}
            )
            union all
            select {{ columns }}, false as is_found
            from ({{ standing_rows(rows) }} and {{ is_touched_key() }})
        )
        group by {{ columns }}
        having count() = 1
    )
    order by is_found desc
    limit 1 by {{ config.require('order_by') | join(', ') }}
    {%- endset -%}
    {%- call statement('main') -%}
        {{ insert_by_name(staged, differing, own_columns=['is_retracted']) }}
    {%- endcall -%}
    {%- do run_query('alter table ' ~ rows ~ ' attach partition tuple() from ' ~ staged) -%}
    {%- for relation in [staged, touched_keys, touched] -%}
        {%- do run_query('drop table ' ~ relation ~ ' sync') -%}
    {%- endfor -%}
{%- endmacro -%}
