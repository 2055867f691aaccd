"""The demo: a real sync job on real data, and the small local servers that it (and the tests) use."""
