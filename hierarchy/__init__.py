"""Answer a question over documents too long to read whole, within a hard token budget."""
