"""Operations on text messages."""
