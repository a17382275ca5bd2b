"""Values to text, tables and pictures; nothing is computed here."""
