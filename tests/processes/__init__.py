"""Real processes: killed, forked, ended in every way, with the journal and without."""
