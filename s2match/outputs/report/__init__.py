"""A report of a result: one page that holds all it shows, and its figures beside it."""
