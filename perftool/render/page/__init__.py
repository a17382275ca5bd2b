"""A run as one self-contained HTML page: charts, a table, and limits that choose again in the page itself.

`content` gathers what the page's scripts read, `document` writes the page around it. Nothing is decided
here: what is chosen under which limits was foreseen by `analysis.foresee`.
"""
