"""Words: the BM25 of today's lexical search, and the postings that travel in a release."""
