"""How the kinds of documents are called, on disk and in databases."""

ROSTER = "roster"
MEMBER = "member"
RECEIPT = "receipt"
