"""Small builders of DuckDB SQL text: literals, names, JSON paths, and tests on JSON texts.

A *JSON text* is what `json_extract` returns: compact JSON as DuckDB writes it, or NULL for a missing value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def literal(value: str) -> str:
    """Return a string literal."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """Return string literals separated by commas."""
    return ", ".join(literal(value) for value in values)


def identifier(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def path_list(paths: Iterable[Sequence[str]]) -> str:
    """Return a list literal of JSON paths for `json_extract`; the empty path is the document itself."""
    return "[" + literals(json_path(path) for path in paths) + "]"


def json_path(parts: Sequence[str]) -> str:
    """Return the JSON path of nested object keys."""
    return "$" + "".join(f'."{part}"' for part in parts)


def any_of(terms: Sequence[str]) -> str:
    """Return the disjunction of SQL conditions."""
    return "(" + " or ".join(terms) + ")" if terms else "false"


def is_text(value: str) -> str:
    """Whether a JSON text is a string."""
    return f"ascii({value}) = 34"


def is_object(value: str) -> str:
    """Whether a JSON text is an object."""
    return f"ascii({value}) = 123"


def is_array(value: str) -> str:
    """Whether a JSON text is an array."""
    return f"ascii({value}) = 91"


def is_number(value: str) -> str:
    """Whether a JSON text is a number."""
    return f"(ascii({value}) between 48 and 57 or ascii({value}) = 45)"


def unquoted(value: str) -> str:
    """Return the characters of a JSON text that is a string."""
    return (
        f"case when contains({value}, '\\') then json_extract_string({value}, '$') "
        f"else substr({value}, 2, length({value}) - 2) end"
    )


def number(value: str) -> str:
    """Return a JSON text that is a number as a double; infinite beyond a double's range."""
    return f"try_cast({value} as double)"


def lenient(value: str) -> str:
    """Whether a text that `json_valid` accepts is no JSON: DuckDB 2.0 reads NaN, Infinity and trailing commas.

    Three quick searches find the rows in question; the exact answer looks outside strings, where JSON has letters
    only in true, false, null and exponents. Searches that start with a literal cost 0.05 us a row, one that starts
    with a class twenty times that.
    """
    spelled = "[-+]?(?i:nan|inf)"
    signs = (rf",\s*(?:[\]}}]|{spelled})", rf":\s*{spelled}", rf"\[\s*{spelled}", rf"^\s*{spelled}")
    possible = " or ".join(f"regexp_matches({value}, {literal(sign)})" for sign in signs)
    exact = f"regexp_matches({without_strings(value)}, ',\\s*[\\]}}]|(?i:nan|inf)')"
    return f"case when {possible} then {exact} else false end"


def without_strings(value: str) -> str:
    """Return a JSON text whose strings are empty, so that what is left is structure and literals."""
    return f"""regexp_replace({value}, '"(?:[^"\\\\]|\\\\.)*"', '""', 'g')"""


def holds_infinite(value: str) -> str:
    """Whether a JSON text holds a number beyond a double's range anywhere."""
    possible = f"regexp_matches({value}, '[0-9][eE][+]?[0-9]{{3}}|[0-9]{{200}}')"
    numbers = f"regexp_extract_all({without_strings(value)}, '[0-9]+(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?')"
    exact = f"coalesce(list_bool_or(list_transform({numbers}, lambda n: isinf({number('n')}))), false)"
    return f"case when {possible} then {exact} else false end"


def is_deeper_than(depth: int, value: str) -> str:
    """Whether objects and arrays of a JSON text stand inside each other more than so many times."""
    brackets = f"regexp_replace({without_strings(value)}, '[^\\[\\]{{}}]', '', 'g')"
    steps = (
        f"list_transform(string_split({brackets}, ''), "
        "lambda c: {'at': case when c in ('[', '{') then 1 else -1 end, 'most': 0})"
    )
    both = "{'at': a['at'] + b['at'], 'most': greatest(a['most'], a['at'] + b['at'])}"
    most = f"list_reduce({steps}, lambda a, b: {both})['most']"
    # Each level takes two bytes.
    return f"case when strlen({value}) > {2 * depth} then coalesce({most} > {depth}, false) else false end"
