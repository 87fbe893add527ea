"""Operations on the owner's records: annotate, import, export, transform, validate, report, cleanup."""
