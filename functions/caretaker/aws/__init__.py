"""The only rooms with boto3: paged, batched, `failures` read, errors classified by name; plain dicts come out."""
