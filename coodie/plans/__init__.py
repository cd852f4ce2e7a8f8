"""
Plans: what coodie does, as generators that yield statements and are sent their rows.

Rules that live here: a plan never opens, locks, sleeps, logs or reads the clock; it is run by ``coodie.run`` and tested
without a driver. A call is checked when its plan is made, so that a mistake is raised before anything is awaited.
"""
