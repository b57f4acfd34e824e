"""The command line: click commands make Settings; the only place that exits."""
