"""The nouns: Avro contracts, codecs, closed vocabularies, identities, errors. Imports nothing of ours."""
