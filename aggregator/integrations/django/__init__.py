"""
The Django application ``aggregator.integrations.django``: middleware, counting on commit, lifespan, commands.

Rules that live here: public names only. ``INSTALLED_APPS`` names this package, ``MIDDLEWARE`` its
``AggregatorMiddleware``; what is counted with comes from the settings' dict ``AGGREGATOR``.
"""

from __future__ import annotations

from aggregator.integrations.django.lifespan import with_lifespan
from aggregator.integrations.django.middleware import AggregatorMiddleware
from aggregator.integrations.django.transactions import increment_on_commit

__all__ = ["AggregatorMiddleware", "increment_on_commit", "with_lifespan"]
