"""Operations of the registry, by subject."""
