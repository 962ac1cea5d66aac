"""Pieces of patterns that several families of rules are made of."""

# Where a short prefix may begin: not inside a word, but right behind an escape (\n, \u003d, %3D),
# a colour code of a terminal ([32m), or anything else that is no letter or digit.
EDGE = (
    r"(?:\A|[^A-Za-z0-9]|\\+[nrtbf]|\\+u[0-9A-Fa-f]{4}|\\+x[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}"
    r"|\[[0-9;]*m)"
)

END = r"(?:\z|[^A-Za-z0-9_-])"  # where a token of fixed length must end

# Between a name and its value.
VALUE = r"""[ \t\\"'`\]]{0,12}(?::|=|=>|\[None\]:)[ \t\\"'`]{0,12}"""
