"""
Every error coodie raises, divided by what the caller may do next.

    CoodieError
    ├─ ConfigurationError        the connection or an option is wrong: fix the set-up
    ├─ InvalidQueryError         refused before any round trip: fix the call or the class (also a ValueError)
    ├─ DocumentNotFound          get() found no row
    ├─ MultipleDocumentsFound    get() or find_one() found more than one row
    ├─ MigrationError            reserved for migrations
    └─ DriverError               a statement reached, or tried to reach, the database
       ├─ NotApplied             surely not written: sending it again is safe
       ├─ MaybeApplied           its fate is unknown: never repeat a counter update blindly
       └─ Rejected               understood and refused: fix the row, the table or the grant
          ├─ RowRejected         this key or value; other rows are not affected
          └─ TableRejected       the table, a column or a right is missing: every row of it is affected

Rules that live here: texts may name tables, columns and statements, never values.
"""

from __future__ import annotations


class CoodieError(Exception):
    """Root of every error that coodie raises on purpose."""


class ConfigurationError(CoodieError):
    """The connection or an option is wrong; nothing was sent."""


class InvalidQueryError(CoodieError, ValueError):
    """The call or the class is wrong; nothing was sent."""


class DocumentNotFound(CoodieError):
    """No row matches."""


class MultipleDocumentsFound(CoodieError):
    """More than one row matches where one was asked for."""


class MigrationError(CoodieError):
    """A migration cannot run."""


class DriverError(CoodieError):
    """
    A statement failed at the driver or the database.

    ``statement`` is its text (placeholders, never values) and ``host`` the coordinator, where they are known.
    The driver's own exception is the ``__cause__``.
    """

    def __init__(self, message: str, *, statement: str | None = None, host: str | None = None) -> None:
        super().__init__(message)
        self.statement = statement
        self.host = host


class NotApplied(DriverError):
    """Surely not written: sending the same statement again is safe."""


class MaybeApplied(DriverError):
    """The database did not say whether it was written: repeating a counter update may count twice."""


class Rejected(DriverError):
    """The database understood and refused; nothing was written and repeating it changes nothing."""


class RowRejected(Rejected):
    """The key or a value was refused; other rows are not affected."""


class TableRejected(Rejected):
    """The table, a column or a right is missing; every row of the table is affected until that is mended."""
