"""Label files of any tool: read, checked, and written in the one layout that training reads."""
