"""Row rules: their model, their checks, and the rules files shipped here."""
