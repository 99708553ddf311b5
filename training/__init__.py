"""Training, corpora, evaluation and publishing; nothing that a reader of pictures needs."""
