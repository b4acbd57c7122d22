"""The command line: flags to calls, results to text or JSON, errors to exit codes."""
