"""Measurements that docs/ shows; each prints a table and writes JSON."""
