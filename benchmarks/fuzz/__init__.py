"""Mutated inputs at every reader: each is read or refused, in bounded time and memory."""
