"""The command line: one thin file per command group, imported when its command is called."""
