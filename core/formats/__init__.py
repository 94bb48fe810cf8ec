"""How times and numbers are written in the admin, in place of what Django has for each language:
all columns alike, to the second, in the order in which they sort."""
