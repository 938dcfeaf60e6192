"""Programs that check the repository itself or write parts of it from the code."""
