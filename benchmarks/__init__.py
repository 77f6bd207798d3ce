"""Measurements that the README quotes; each prints a table and writes JSON."""
