"""Operations on uploaded files."""
