"""What the daily commands do: produce, results, dead letters, reviews, explanations."""
