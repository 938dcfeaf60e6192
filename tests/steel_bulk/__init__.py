"""`steel bulk`: workers without Ray, the command in this process, real runs that get killed."""
