"""The command line ``steel``: predict, watch and bulk."""
