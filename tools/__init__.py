"""Programs that check the repository itself; ``make check`` runs them."""
