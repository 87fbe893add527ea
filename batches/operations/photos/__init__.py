"""Operations on images: rating photos, making pictures."""
