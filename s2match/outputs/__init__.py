"""Summary, JSON, figures and report of a result."""
