{#- A table that every run builds anew, out of what other models keep of all time: a new table is filled and exchanged, so
    that a reader sees the old rows or the new ones. Unlike the adapter's own it runs the query once.

    config: order_by. -#}
{%- materialization exchanged_table, adapter='clickhouse' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks) }}
    {%- do exchange_whole_table(target_relation, existing_table(existing), sql) -%}
    {{ run_hooks(post_hooks) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}
