"""Studies: a grid of runs, cached cell by cell, with a table and a figure at the end."""
