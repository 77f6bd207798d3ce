"""General helpers: threads, files, imports and container limits; nothing here deals with images."""
