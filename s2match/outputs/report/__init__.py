"""Report of a result: an HTML page that needs no other file, and its figures as PNG."""
