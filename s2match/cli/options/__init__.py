"""Options of the command line: a module for each group, and a parser for each command."""
