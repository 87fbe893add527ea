"""Operations on conversations: exports and analyses."""
