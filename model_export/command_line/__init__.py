"""The command line: sub-commands, their options, files of options, and how a command ends."""
