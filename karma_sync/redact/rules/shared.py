"""Parts of patterns that several families of rules use.

They are RE2 over bytes, like the patterns of the rules (see `matching/rule.py`).
"""

# Where a token with a short prefix may begin: not inside a word, but after an escape (\n, \u003d,
# %3D), a terminal's colour code ([32m), or any other character that is not a letter or digit.
EDGE = (
    r"(?:\A|[^A-Za-z0-9]|\\+[nrtbf]|\\+u[0-9A-Fa-f]{4}|\\+x[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}"
    r"|\[[0-9;]*m)"
)

# Where a token of fixed length must end.
END = r"(?:\z|[^A-Za-z0-9_-])"

# What may stand between a name and its value.
VALUE = r"""[ \t\\"'`\]]{0,12}(?::|=|=>|\[None\]:)[ \t\\"'`]{0,12}"""
