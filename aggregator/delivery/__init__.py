"""What a flush of each kind of table writes: native counter columns here, exact writer rows in a later version."""
