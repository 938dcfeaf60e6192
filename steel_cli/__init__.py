"""The command ``steel``: predict a folder, watch one, answer an archive."""
