{#- What materializations of tables with an enforced contract share.

    storage: what a materialization says of its table: engine; own_columns, behind the contract's; index_granularity, of
    which a model says otherwise. -#}

{#- A relation that an earlier project built as a table, else none: anything else makes way. -#}
{%- macro existing_table(existing) -%}
    {%- if existing is not none and existing.type != 'table' -%}
        {%- do adapter.drop_relation(existing) -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(existing) }}
{%- endmacro -%}

{%- macro exchange_whole_table(target_relation, existing, sql, storage={}) -%}
    {%- set staged = working_relation('staged') -%}
    {%- do run_query('drop table if exists ' ~ staged ~ ' sync') -%}
    {%- do run_query(create_contracted_table(staged, sql, storage)) -%}
    {%- call statement('main') -%}
        {{ insert_by_name(staged, sql) }}
    {%- endcall -%}
    {%- if existing is none -%}
        {%- do run_query('rename table ' ~ staged ~ ' to ' ~ target_relation) -%}
    {%- else -%}
        {%- do run_query('exchange tables ' ~ staged ~ ' and ' ~ target_relation) -%}
        {%- do run_query('drop table ' ~ staged ~ ' sync') -%}
    {%- endif -%}
{%- endmacro -%}

{%- macro create_contracted_table(relation, sql, storage) -%}
    {%- set own_columns = storage.get('own_columns', []) -%}
    {%- set index_granularity = config.get('index_granularity', storage.get('index_granularity')) -%}
    {%- do assert_contract(sql) -%}
    create table {{ relation }} (
        {%- for column in model.columns.values() %}
        {{ column.name }} {{ column.data_type }} comment '{{ column.description | trim | replace("\\", "\\\\") | replace("'", "\\'") }}'{{ ',' if own_columns or not loop.last }}
        {%- endfor %}
        {{ own_columns | join(', ') }}
    )
    engine = {{ storage.get('engine', 'MergeTree') }}
    {%- if config.get('date_column') %}
    partition by {{ partition_of('toDate(' ~ config.get('date_column') ~ ')') }}
    {%- endif %}
    order by ({{ config.require('order_by') | join(', ') }})
    {%- if index_granularity %}
    settings index_granularity = {{ index_granularity }}
    {%- endif %}
    comment '{{ model.description | trim | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro -%}

{%- macro insert_by_name(relation, sql, own_columns=[]) -%}
    {%- set columns = (model.columns.values() | map(attribute='name') | list + own_columns) | join(', ') -%}
    {%- set log_comment = env_var('MILLRACE_LOG_COMMENT', '') -%}
    insert into {{ relation }} ({{ columns }})
    select {{ columns }}
    from (
{{ sql }}
    )
    settings
        insert_deduplicate = 0,
        max_partitions_per_insert_block = 0
        {%- if log_comment %},
        log_comment = '{{ log_comment | replace("\\", "\\\\") | replace("'", "\\'") }}'
        {%- endif -%}
{%- endmacro -%}

{#- Refuses SQL whose columns are not the contract's, and a table that was built under another contract. Describing a
    query does not run it, which the adapter's own comparison does; it takes as long as planning it. Whoever starts dbt may
    say that the same project has described the same SQL on the same engine before, see orchestration/warehouse/stamps.py. -#}
{%- macro assert_contract(sql, relation=none, own_columns=[]) -%}
    {%- if not config.get('contract').enforced -%}
        {{ exceptions.raise_compiler_error(model.name ~ ': ' ~ config.get('materialized') ~ ' needs an enforced contract') }}
    {%- endif -%}
    {%- set wanted = [] -%}
    {%- for column in model.columns.values() -%}
        {%- do wanted.append(column.name ~ ' ' ~ column.data_type) -%}
    {%- endfor -%}
    {%- set is_known = relation is not none and env_var('MILLRACE_CONTRACTS_HOLD', '') == 'true' -%}
    {%- set selected = wanted if is_known else described('(' ~ sql ~ '\n)') -%}
    {%- if selected | sort != wanted | sort -%}
        {{ exceptions.raise_compiler_error(model.name ~ ' breaks its contract. Only in the SQL: ' ~ (selected | reject('in', wanted) | join(', ') or 'nothing') ~ '. Only in the contract: ' ~ (wanted | reject('in', selected) | join(', ') or 'nothing')) }}
    {%- endif -%}
    {%- if relation is not none -%}
        {%- set held = described(relation) -%}
        {%- set wanted = wanted + own_columns -%}
        {%- if held != wanted -%}
            {{ exceptions.raise_compiler_error(relation ~ ' was built under another contract: build it once with --full-refresh. Only in the table: ' ~ (held | reject('in', wanted) | join(', ') or 'nothing') ~ '. Only in the contract: ' ~ (wanted | reject('in', held) | join(', ') or 'nothing, but the order differs')) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro -%}

{%- macro described(relation) -%}
    {%- set columns = [] -%}
    {%- for row in run_query('describe table ' ~ relation).rows -%}
        {%- do columns.append(row[0] ~ ' ' ~ row[1]) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro -%}
