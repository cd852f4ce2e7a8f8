"""What every question shares: turn-taking, rows of the table, the model that counts, the machine it ran on."""
